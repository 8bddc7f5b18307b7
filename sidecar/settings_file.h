/* SPDX-License-Identifier: MIT */
/*
 * settings_file - the keys of postern.conf(5): their syntax, defaults, ranges.
 *
 * The table of keys is the one place that knows them; libconfuse reads the
 * text, and what can be said of one value alone is checked while its line is
 * known.  What hangs on several values is settings.c's.
 */
#ifndef SIDECAR_SETTINGS_FILE_H
#define SIDECAR_SETTINGS_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct cfg_t;
struct error;

/* Bytes of a path, its NUL too. */
enum { SETTINGS_PATH_MAX = 256 };

/* Bytes of `listen`, its NUL too. */
enum { SETTINGS_ENDPOINT_MAX = 64 };

/* `port-offset` when nothing is set. */
enum { SETTINGS_PORT_OFFSET = 10000 };

/* The words of `gate`, in the order of enum settings_gate; ended by NULL. */
extern const char *const settings_file_gates[];

/*
 * Read `text`; `path` is for messages.  0 and libconfuse's values, which the
 * caller frees with cfg_free(); -EINVAL with "FILE:LINE: reason"; -ENOMEM.
 */
int settings_file_parse(const char *path, const char *text, struct cfg_t **out, struct error *err);

/*
 * What libconfuse would end at, a NUL, and what it would replace by our own
 * environment, which is not for who wrote a file of another root: -EINVAL.
 */
int settings_file_check(const char *path, const char *text, size_t len, bool is_own,
			struct error *err);

/* Where the last text that was parsed has `trusted-networks`; 0: nowhere. */
unsigned settings_file_networks_line(void);

#endif
