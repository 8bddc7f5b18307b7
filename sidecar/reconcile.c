/* SPDX-License-Identifier: MIT */
/* reconcile - survey and apply, under a lock, until nothing differs. */
#include "reconcile.h"

#include "apply.h"
#include "apply_gate.h"
#include "log.h"
#include "monotonic.h"
#include "overrides.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "settings.h"
#include "survey.h"
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { SURVEYS_MAX = 20, LOCK_WAIT_MS = 60000, GUARD_LOCK_WAIT_MS = 1000, LOCK_STEP_MS = 10 };

/* A folder of root's own, and no link: we write and delete in it. */
static int check_private(const struct host *host, const char *path, struct error *err)
{
	cleanup_fd int fd =
		rootfs_open(&host->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(err, -EPERM, "%s: others can write there", path);
	return 0;
}

static int take_lock(const struct survey_request *request, int wait_ms, int *out_fd,
		     struct error *err)
{
	const struct host *host = request->host;
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };
	const int64_t deadline_ms = monotonic_ms() + wait_ms;
	int rc = rootfs_make_directory(&host->root, "/run", 0755, err);
	cleanup_fd int fd = -1;

	if (rc >= 0)
		rc = rootfs_make_directory(&host->root, HOST_WORK_DIRECTORY, 0700, err);
	if (rc >= 0)
		rc = rootfs_make_directory(&host->root, HOST_JUDGE_DIRECTORY, 0700, err);
	if (rc >= 0)
		rc = check_private(host, HOST_WORK_DIRECTORY, err);
	if (rc >= 0)
		rc = check_private(host, HOST_JUDGE_DIRECTORY, err);
	if (rc < 0)
		return rc;
	fd = rootfs_open_file(&host->root, HOST_WORK_DIRECTORY "/lock",
			      O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (monotonic_ms() >= deadline_ms)
			return error_set(err, -ETIMEDOUT, "another postern is at work here");
		nanosleep(&step, NULL);
	}
	*out_fd = steal_fd(&fd);
	server_remove_candidates(host); /* of whoever was killed */
	return 0;
}

/* 0 when the file is whole, also when there is none. */
static int recover_file(const struct host *host, const char *directory, const char *name,
			struct error *err)
{
	cleanup_buf struct buf path = BUF_INIT;
	int rc;

	buf_add_format(&path, "%s/%s", directory, name);
	rc = buf_check(&path, err);
	if (rc == 0)
		rc = textfile_recover(&host->root, buf_text(&path), err);
	if (rc > 0)
		log_warning("%s: an interrupted write was undone from its saved copy",
			    buf_text(&path));
	return rc > 0 || rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* Finish what a crash interrupted while a bind-mounted file was written. */
static int recover(const struct survey_request *request, struct error *err)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server_kind *kind = survey_kinds[i];

		for (size_t k = 0; kind->files[k]; k++) {
			int rc = recover_file(request->host,
					      kind->config_directory(request->settings),
					      kind->files[k], err);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int run(const struct survey_request *request, struct survey *out, struct error *err)
{
	struct survey_request again = *request;
	cleanup_fd int lock_fd = -1;
	int rc = request->rehearse ? 0 : recover(request, err);

	if (rc == 0 && request->judged) /* there is work, most likely: look once, not twice */
		(void)take_lock(request, 0, &lock_fd, NULL);
	for (int tries = 0; rc == 0 && tries < SURVEYS_MAX; tries++) {
		survey_release(out);
		rc = survey_take(&again, out, err);
		if (rc < 0 || !survey_differs(out))
			return rc;
		if (request->refused && digest_equal(&out->attempt, request->refused))
			return -EALREADY;
		again.await_start = false; /* once is enough */
		if (lock_fd < 0) {
			rc = take_lock(request, request->rehearse ? 0 : LOCK_WAIT_MS, &lock_fd,
				       err);
			continue; /* look again, now that nobody else writes */
		}
		out->attempted = true;
		rc = request->revert ? apply_revert(request, out, err)
				     : apply_patch(request, out, err);
		if (rc == 0)
			return 1;
		if (rc == -ESTALE) /* somebody else was quicker: look again */
			rc = 0;
	}
	return rc < 0 ? rc : -ESTALE;
}

/*
 * What asks for a header by the files as they are: twins of the plan that stand already, where
 * there is a plan, and what would close if all of ours went, for which there need be none.
 */
static int guard_standing(const struct survey_request *request, struct error *err)
{
	CLEANUP(survey_release) struct survey planned = SURVEY_INIT;
	CLEANUP(survey_release) struct survey reverted = SURVEY_INIT;
	const struct overrides none = { 0 };
	struct survey_request plan = *request, revert = *request;
	int rc;

	plan.each_alone = true;
	plan.await_start = false;
	(void)survey_take(&plan, &planned, NULL);
	revert.overrides = &none;
	revert.revert = true;
	revert.await_start = revert.only_running = revert.no_reload = false;
	if (planned.gate.standing.n_items > 0) /* among them are those of the look before */
		revert.guarded = (struct listening_ports){ planned.gate.standing.items,
							   planned.gate.standing.n_items };
	rc = survey_take(&revert, &reverted, err);
	return rc < 0 ? rc : apply_gate_standing(&reverted, err);
}

void reconcile_guard(const struct survey_request *request, struct notes *notes)
{
	cleanup_fd int lock_fd = -1;
	struct error err = { 0 };
	int rc;

	if (!request->guard_anyway || request->rehearse ||
	    request->settings->gate == SETTINGS_GATE_OFF)
		return;
	rc = take_lock(request, GUARD_LOCK_WAIT_MS, &lock_fd, &err);
	if (rc == 0)
		rc = guard_standing(request, &err);
	if (rc < 0 && rc != -ENOENT) /* else there is no server */
		notes_add(notes, NOTE_WARNING, "what asks for a header already is not guarded: %s",
			  err.msg);
}

int reconcile_run(const struct survey_request *request, struct survey *out, struct error *err)
{
	int rc = run(request, out, err);

	if (rc < 0 && !out->began)
		reconcile_guard(request, &out->notes);
	return rc;
}
