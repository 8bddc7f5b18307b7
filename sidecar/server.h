/* SPDX-License-Identifier: MIT */
/*
 * server - one mail server as the reconciler sees it: what its files say, what
 * they should say, its master process, and how to judge a candidate.
 *
 * postfix_server.c and dovecot_server.c fill in the table; nothing else knows
 * the two apart.
 */
#ifndef SIDECAR_SERVER_H
#define SIDECAR_SERVER_H

#include "digest.h"
#include "master_process.h"
#include "patchers/base/buf.h"
#include "patchers/base/error.h"
#include "patchers/inet_service.h"
#include "probe.h"
#include "rootfs.h"

struct listening;
struct notes;
struct override_record_texts;
struct overrides;
struct settings;

/* Where the servers live. */
struct host {
	struct rootfs root;
	struct buf services;          /* /etc/services, empty when there is none */
	struct port_names port_names; /* borrows services */
};

#define HOST_INIT                                                                                  \
	{                                                                                          \
		.root = ROOTFS_INIT                                                                \
	}

int host_init(struct host *host, const char *root, struct error *err);
void host_release(struct host *host);

/* The folder in the root where postern keeps its lock and its candidates. */
#define HOST_WORK_DIRECTORY "/run/postern"
#define HOST_JUDGE_DIRECTORY "/run/postern/judge"
#define HOST_JUDGE_DOVECOT "/run/postern/judge/0.conf"

/* A file as it is and as it shall be. */
struct file_change {
	char *path;
	bool old_exists;
	struct buf old_text;
	bool new_exists;
	struct buf new_text;
	unsigned age_s; /* how far back its time stamp is to be */
};

enum { SERVER_CHANGES_MAX = 3 };

/* A port that speaks PROXY, of whichever server. */
struct twin {
	char *listener;
	char *stock;   /* what it is the twin of, for people */
	char *address; /* "" = every address */
	uint16_t stock_port;
	uint16_t port;
	enum probe_protocol protocol;
	bool tls;
	bool is_new;    /* not in the configuration yet */
	bool is_closed; /* in the configuration, and the running master does not listen */
	bool probed;    /* it was asked in this run, and this came of it: */
	bool up;
	char detail[PROBE_DETAIL_MAX];
};

struct server {
	const struct server_kind *kind;
	bool enabled;
	bool present;  /* its configuration is there */
	bool running;  /* and may be told to reload */
	bool starting; /* runs, but is not to be told anything yet: look again soon */
	/* Its files cannot be read, or are refused: they stay, and nothing is asked of it. */
	bool left_out;
	struct error left_out_because;
	/* To revert, and to nothing else: nobody can tell now whether it runs. */
	bool unseen;
	struct error unseen_because;
	bool unread;                  /* it does not run, and its files cannot be read */
	bool still_open;              /* what closes with its files had not closed in time */
	struct master_process master; /* when running or starting */
	struct file_change changes[SERVER_CHANGES_MAX];
	size_t n_changes;
	struct twin *twins;
	size_t n_twins;
	char *made_directory; /* to be made before, or removed after the changes */
	uint16_t *closing;    /* ports of ours that the new files do not name */
	size_t n_closing;
	bool closing_is_unknown; /* to revert: what it follows cannot be read, or is gone */
	bool is_pending;         /* it was not seen to follow what was written: see pending.h */
	bool unproven;           /* is to be told, or asked, although no file differs */
	bool verified;           /* all its twins answered to this very master */
	unsigned n_reloads;
	/* What postern has to remember of its overrides: see overrides.h. */
	struct file_change record;
	bool has_record;
	struct buf settled; /* what it is once the files are written; empty: none */
	/* What was read to make the plan: the same digest, the same plan. */
	struct digest read;
	/* Folders to look into again when something in them changes. */
	struct server_folder *folders;
	size_t n_folders;
	void *own; /* the kind's own state */
};

/* A folder that the plan, or finding the master, hangs on. */
struct server_folder {
	char *path;
	const char *const *names; /* the files that count, ended by NULL; NULL: all */
	bool pid_file;
};

/* What a survey starts from. */
struct server_request {
	const struct host *host;
	const struct settings *settings;
	const struct overrides *overrides;
	bool revert; /* take away everything of ours */
};

struct server_kind {
	const char *name;
	/* Its master's program, and all that have its ports; ended by NULL. */
	const char *const *programs;
	/*
	 * Its programs that greet clients, and after a reload on the same sockets
	 * as before, until they have heard of it; ended by NULL.
	 */
	const char *const *greeters;
	/* Its files that are written, within config_directory(); ended by NULL. */
	const char *const *files;
	const char *(*config_directory)(const struct settings *settings);
	/* Read, plan (or, to revert, strip), find the master.  Fills in *server. */
	int (*survey)(const struct server_request *request, struct server *server,
		      struct notes *notes, struct error *err);
	/*
	 * Does the server's own tool accept the candidate?  0; 1 when the tool
	 * is not there; -EINVAL with the tool's words.
	 */
	int (*judge)(const struct host *host, const struct server *server, struct error *err);
	/* Could the master bind what the candidate names?  Before it is told to. */
	int (*check_ports)(const struct host *host, const struct server *server, struct error *err);
	/* Whether the files name the port, as they shall be. */
	bool (*names_port)(const struct host *host, const struct server *server, uint16_t port);
	/* A file of the owner's without what is ours. */
	int (*strip)(struct span text, struct buf *out, struct error *err);
	void (*release_own)(void *own);
};

extern const struct server_kind postfix_server;
extern const struct server_kind dovecot_server;

void server_release(struct server *server);

/* Add a change unless both sides are equal.  Takes over the texts. */
int server_add_change(struct server *server, const char *path, bool old_exists,
		      struct buf *old_text, bool new_exists, struct buf *new_text,
		      struct error *err);

/* The files stay as they are. */
void server_drop_changes(struct server *server);

/*
 * The same for what postern remembers of overrides; takes over the texts.
 */
int server_set_record(struct server *server, const char *path, struct override_record_texts *texts,
		      struct error *err);

/* Add a folder; the path is copied, the names are not. */
int server_add_folder(struct server *server, const char *path, const char *const *names,
		      bool pid_file, struct error *err);

/* Add the folder that a file is in, unless it was added; not the root folder. */
int server_add_folder_of(struct server *server, const char *path, struct error *err);

/*
 * Whether it runs, by its pid file, whose folder is added: see master_process_find().  What
 * cannot be told now is an error, as is a path that is none; to revert, which takes away what is
 * ours all the same, it is server->unseen.
 */
int server_find_master(const struct server_request *request, const char *pid_file,
		       struct server *server, struct error *err);

/* Add a port to `closing` unless a twin of the plan has it. */
int server_add_closing(struct server *server, uint16_t port, struct error *err);

/* What listens on the twins' ports now, and which of it the master holds: see ports.h. */
void server_look_at_twins(const struct server *server, struct listening *out);

/* Add a twin; the strings are copied. */
int server_add_twin(struct server *server, const struct twin *twin, struct error *err);

/* printf arguments for "%.*s": a tool's words, as many as a message holds. */
#define SERVER_WORDS_MAX 700
#define SERVER_WORDS(s) (int)((s).len < SERVER_WORDS_MAX ? (s).len : SERVER_WORDS_MAX), (s).data

/* Empty HOST_JUDGE_DIRECTORY: candidates may hold the owner's secrets. */
void server_remove_candidates(const struct host *host);

/*
 * Write a candidate file into HOST_JUDGE_DIRECTORY, its time stamp a few
 * seconds back, because Postfix's programs wait for a younger main.cf to age.
 */
int server_write_candidate(const struct host *host, const char *name, struct span text,
			   struct error *err);

#endif
