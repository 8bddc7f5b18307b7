/* SPDX-License-Identifier: MIT */
/*
 * report - what one look at the mail host found and did.
 *
 * A look runs in a process of its own; its report comes back through a pipe as
 * bytes of report_print(), and is kept until the next one: it is all that a
 * running postern knows.
 */
#ifndef SIDECAR_REPORT_H
#define SIDECAR_REPORT_H

#include "digest.h"
#include "patchers/base/buf.h"
#include "patchers/base/notes.h"

#include <stdint.h>
#include <sys/types.h>

struct error;

enum { REPORT_SERVERS = 2, REPORT_GUARDED_MAX = 256 };

enum report_outcome {
	REPORT_NONE,    /* nobody has looked yet */
	REPORT_CURRENT, /* everything is as the inputs want it, and proven */
	REPORT_WAITING, /* no server runs that could be told */
	REPORT_REFUSED, /* the inputs are wrong: not tried again until they change */
	REPORT_FAILED,  /* something else went wrong: tried again after a while */
};

/* The detail of a twin whose server does not run. */
#define REPORT_NOT_RUNNING "its server is not running"

struct report_twin {
	char *listener;
	char *stock;
	char *detail; /* what it answered, or why it is down */
	uint16_t stock_port;
	uint16_t port;
	uint8_t server; /* index into report.servers */
	bool tls;
	bool up;
};

struct report_server {
	bool enabled;
	bool present;     /* its configuration is there */
	bool running;     /* its master process is, and takes signals */
	bool starting;    /* its master process is, and does not take signals yet */
	pid_t pid;        /* of the master; 0: none */
	bool verified;    /* all its twins answered to this very process */
	uint32_t reloads; /* in this look */
	bool was_seen;    /* it is running, or was before */
};

/* A folder whose changes are worth a look. */
struct report_folder {
	char *path;   /* in the mail host's root, or in our own */
	char **names; /* the files that matter there, ended by NULL; NULL: all */
	bool is_own;  /* path is in our own root: the file of --config */
	bool pid_file;
	bool is_watch;        /* of a `watch` in postern.conf */
	struct digest digest; /* what a watched folder holds */
	/* What it held when a server was last told of it; `digest` for one that it is not for. */
	struct digest told[REPORT_SERVERS];
};

struct report {
	enum report_outcome outcome;
	bool changed;               /* files were written or servers reloaded */
	bool rolled_back;           /* and taken back */
	bool uses_good;             /* the last good inputs are in force, not the present ones */
	struct digest inputs;       /* of the inputs that are in force */
	struct digest refused;      /* of what was tried and is not tried again */
	struct digest refused_good; /* the same, of the last good inputs */
	struct digest judged;       /* of what a rehearsal found good, see look.h */
	char *reason;               /* of a refusal or failure; "" */
	uint32_t resync_s;
	char *listen;
	char *mynetworks, *gate; /* how far these protect the twins, see protection.h, gate.h */
	bool gate_in_force;
	uint16_t
		guarded[REPORT_GUARDED_MAX]; /* the ports that the gate guards; more are left out */
	size_t n_guarded;
	struct buf good; /* the last good inputs, see look.c; empty: none yet */
	uint64_t micros; /* how long it took */
	struct report_server servers[REPORT_SERVERS];
	struct report_twin *twins;
	size_t n_twins;
	struct report_folder *folders;
	size_t n_folders;
	struct notes notes; /* what was remarked, said or not */
};

#define REPORT_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void report_release(struct report *report);

/* Add copies; false when memory has run out. */
bool report_add_twin(struct report *report, const struct report_twin *twin);
bool report_add_folder(struct report *report, const struct report_folder *folder);

void report_drop_twins(struct report *report);

/*
 * A folder in which these names (ended by NULL; NULL: all) matter.  One folder may
 * hold several things, postern.conf and override files, say: then all of them do.
 */
bool report_want_folder(struct report *report, const char *path, const char *const *names,
			bool is_own, bool pid_file);
bool report_set_text(char **field, const char *text);

/* Also the folders of another report, but those of a `watch`. */
void report_keep_folders(struct report *report, const struct report *other);

/* The bytes that stand for a report, and back.  -EINVAL for others, -ENOMEM. */
int report_print(const struct report *report, struct buf *out, struct error *err);
int report_parse(struct span bytes, struct report *out, struct error *err);

/*
 * Whether mail can come in by every twin that is wanted: every server that is
 * enabled and present runs and is verified.  Dovecot is waited for only once it
 * has been seen (docker-mailserver's SMTP_ONLY never starts it).  When not, the
 * reason is put into `why` ("" else).
 */
bool report_is_ready(const struct report *report, bool dovecot_was_seen, struct buf *why);

/* Whether a server's master process does not take signals yet. */
bool report_any_starts(const struct report *report);

/* Whether a server that is enabled and present has been seen, and does not run now. */
bool report_misses_server(const struct report *report);

extern const char *const report_server_names[REPORT_SERVERS];

/* A word for the outcome. */
const char *report_outcome_name(enum report_outcome outcome);

#endif
