/* SPDX-License-Identifier: MIT */
/* watching - a folder_watch over a sandbox, for the tests of folder_watch. */
#ifndef TESTS_SIDECAR_WATCHING_H
#define TESTS_SIDECAR_WATCHING_H

#include "sandbox.h"

#include "sidecar/folder_watch.h"

struct watching {
	struct sandbox *s;
	struct folder_watch watch;
	size_t n; /* requests set */
};

/* cmocka's set-up and tear-down: *state is a struct watching. */
int watching_set_up(void **state);
int watching_tear_down(void **state);

/* Watch these folders of the sandbox, every name in them; the count first. */
void watching_set(struct watching *w, size_t n, const char *const paths[]);
void watching_set_requests(struct watching *w, size_t n, const struct folder_request requests[]);

/* Events come at once.  Read them; exactly these requests, as "0 3", were touched. */
void watching_assert_touched(struct watching *w, const char *requests);

/* As above, of what folder_watch_renew() finds. */
void watching_assert_renewed(struct watching *w, const char *requests);

/* How many watches the kernel holds, and how many requests are deaf. */
void watching_assert_counts(const struct watching *w, size_t watches, size_t deaf);

#endif
