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
 * Where libconfuse would read something else than is written, and what it is, or NULL:
 *
 * - a '*', or a '+' but that of "+=", outside of quotes and comments: it reads on as if it
 *   were not there, and "listen = *:9090" would have another value;
 * - a variable of the environment whose name has a newline: it does not count that line.
 */
const char *settings_text_find_misread(const char *text, const char **why);

#endif
