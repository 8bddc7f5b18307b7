/* SPDX-License-Identifier: MIT */
/*
 * inputs - what people write and postern follows: postern.conf and the override
 * files, as they were at one moment.
 *
 * They are kept as bytes, so that a running postern can go on with the last
 * ones that were good.
 */
#ifndef SIDECAR_INPUTS_H
#define SIDECAR_INPUTS_H

#include "overrides.h"
#include "settings.h"

struct inputs {
	struct buf config; /* the text of postern.conf */
	struct settings settings;
	bool has_settings; /* the text could be read and is right */
	struct overrides overrides;
};

#define INPUTS_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

struct host;

/*
 * What to read for a host: `config`, or its default file when that is NULL, and the networks
 * of the environment, which are needed.  Both are borrowed.
 */
struct settings_request inputs_request(const struct host *host, const char *config);

/*
 * Read and check them.  A postern.conf that is another one when the override
 * files have been read is read anew with them: so a ConfigMap that holds both
 * is one generation.  What the settings and the folders have to say goes to
 * notes.  On failure what was read so far is in `out`: its settings tell what
 * to watch.  Errors are settings_fetch()'s, settings_parse()'s, overrides_read()'s;
 * -EAGAIN when it was replaced each time.
 */
int inputs_read(const struct settings_request *request, struct inputs *out, struct notes *notes,
		struct error *err);
void inputs_release(struct inputs *inputs);

void inputs_digest(const struct inputs *inputs, struct digest *out);

/* As bytes, and back: what inputs_read() returned is good, so is what it kept. */
int inputs_print(const struct inputs *inputs, struct buf *out, struct error *err);
int inputs_parse(const struct settings_request *request, struct span bytes, struct inputs *out,
		 struct error *err);

/*
 * Whether the servers' configuration directories are where they were: what was
 * written in another one would be forgotten there.  0 or -EINVAL.
 */
int inputs_check_directories(const struct settings *now, const struct settings *before,
			     struct error *err);

#endif
