/* SPDX-License-Identifier: MIT */
/*
 * settings - postern.conf(5), read once into a struct that nobody changes.
 *
 * settings_file knows the keys; here they become values, are held against each
 * other, and against the environment.
 */
#ifndef SIDECAR_SETTINGS_H
#define SIDECAR_SETTINGS_H

#include "patchers/cidr.h"
#include "patchers/dovecot_listeners.h"
#include "patchers/postfix_twins.h"
#include "settings_file.h"

struct buf;
struct error;
struct notes;
struct port_names;
struct rootfs;

#define SETTINGS_DEFAULT_PATH "/etc/postern/postern.conf"
/* Where docker-mailserver looks for its override files. */
#define SETTINGS_DEFAULT_OVERRIDES "/tmp/docker-mailserver"
#define SETTINGS_NETWORKS_VARIABLE "POSTERN_TRUSTED_NETWORKS"

enum settings_gate { SETTINGS_GATE_AUTO, SETTINGS_GATE_REQUIRE, SETTINGS_GATE_OFF };

struct settings_postfix {
	bool enabled;
	char config_directory[SETTINGS_PATH_MAX];
	struct postfix_listener *listeners; /* the enabled ones */
	size_t n_listeners;
};

struct settings_dovecot {
	bool enabled;
	char config_directory[SETTINGS_PATH_MAX];
	struct dovecot_listener *listeners; /* the enabled ones */
	size_t n_listeners;
};

/* A folder of certificates: which servers are reloaded when it changes. */
struct settings_watch {
	char directory[SETTINGS_PATH_MAX];
	bool reload_postfix;
	bool reload_dovecot;
};

struct settings {
	struct cidr_list networks;
	bool in_place;
	enum settings_gate gate;
	unsigned resync_s;                    /* 0: off */
	char listen[SETTINGS_ENDPOINT_MAX];   /* "address:port"; "": nowhere */
	char (*overrides)[SETTINGS_PATH_MAX]; /* folders of override files, the last one wins */
	size_t n_overrides;
	struct settings_watch *watches;
	size_t n_watches;
	struct settings_postfix postfix;
	struct settings_dovecot dovecot;
};

struct settings_request {
	const char *path;                    /* of --config; NULL: the default, which may lack */
	const struct rootfs *root;           /* where the default file is looked up */
	const char *networks;                /* the environment's; NULL: not set */
	const struct port_names *port_names; /* for a Postfix listener's stock port */
	bool networks_needed;
	bool no_file; /* the defaults, whatever files there are */
};

/*
 * The text that settings_parse() wants: the file's, or "" when the default file
 * is missing.  -ENOENT when a file that was asked for is, or read(2)'s reason.
 */
int settings_fetch(const struct settings_request *request, struct buf *out, struct error *err);

/*
 * Make settings of a text (NUL-terminated).  -EINVAL with "FILE:LINE: reason" for a
 * syntax error, an unknown key, a bad network or port, two listeners on one
 * port; -EDESTADDRREQ when no trusted network is given and one is needed.
 * Remarks (host bits, duplicates, networks inside others) go to notes.
 */
int settings_parse(const struct settings_request *request, const char *text, struct settings *out,
		   struct notes *notes, struct error *err);

/* Both together. */
int settings_load(const struct settings_request *request, struct settings *out, struct notes *notes,
		  struct error *err);
void settings_release(struct settings *settings);

#endif
