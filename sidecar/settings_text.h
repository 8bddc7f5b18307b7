/* SPDX-License-Identifier: MIT */
/*
 * settings_text - a text for libconfuse, without what it counts wrongly.
 *
 * libconfuse 3.3 counts a comment as two or three lines, so that every message
 * behind one would name a line that is not meant.
 */
#ifndef SIDECAR_SETTINGS_TEXT_H
#define SIDECAR_SETTINGS_TEXT_H

/*
 * Put blanks for every byte of a comment but its newlines.  A comment without
 * an end stays, and whatever is no comment to libconfuse.
 */
void settings_text_blank_comments(char *text);

/*
 * The first '*' outside of quotes and comments, or NULL: libconfuse would read on as if
 * it were not there, and "listen = *:9090" would have another value.
 */
const char *settings_text_find_star(const char *text);

#endif
