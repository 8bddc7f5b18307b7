/* SPDX-License-Identifier: MIT */
/* watched_folders - the folders that a report names, watched. */
#include "watched_folders.h"

#include "log.h"
#include "name_list.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "report.h"

#include <errno.h>
#include <event2/event.h>

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watched_folders *folders = arg;
	struct error err = { 0 };
	int rc = folder_watch_read(&folders->watch, &err);

	(void)fd;
	(void)what;
	if (rc != 0)
		folders->changed(folders->arg, rc < 0 ? &err : NULL);
}

int watched_folders_hear(struct watched_folders *folders, struct event_base *base,
			 watched_folders_changed *changed, void *arg, struct error *err)
{
	int rc = folder_watch_init(&folders->watch, err);

	if (rc < 0)
		return rc;
	folders->changed = changed;
	folders->arg = arg;
	folders->event = event_new(base, folder_watch_fd(&folders->watch), EV_READ | EV_PERSIST,
				   on_readable, folders);
	if (folders->event && event_add(folders->event, NULL) == 0)
		return 0;
	folder_watch_release(&folders->watch);
	return error_set(err, -ENOMEM, "out of memory: changes are not heard");
}

void watched_folders_release(struct watched_folders *folders)
{
	if (folders->event)
		event_free(folders->event);
	folders->event = NULL;
	folder_watch_release(&folders->watch);
	free(steal_pointer(&folders->touched));
}

static struct folder_request request_of(const struct report_folder *folder,
					const struct rootfs *own, const struct rootfs *root)
{
	return (struct folder_request){
		.root = folder->is_own ? own : root,
		.path = folder->path,
		.names = name_list_view(folder->names),
		.pid_file = folder->pid_file,
	};
}

int watched_folders_set(struct watched_folders *folders, const struct report *report,
			const struct rootfs *own, const struct rootfs *root, struct error *err)
{
	cleanup_free struct folder_request *requests =
		calloc(report->n_folders + 1, sizeof(*requests));
	bool *touched;
	int rc;

	for (size_t i = 0; requests && i < report->n_folders; i++)
		requests[i] = request_of(&report->folders[i], own, root);
	if (requests && folders->touched &&
	    folder_watch_is_of(&folders->watch, requests, report->n_folders))
		return 0;
	free(steal_pointer(&folders->touched)); /* its length is that of the folders before */
	folders->n = 0;
	touched = calloc(report->n_folders + 1, sizeof(*touched));
	rc = requests && touched
		     ? folder_watch_set(&folders->watch, requests, report->n_folders, err)
		     : error_set(err, -ENOMEM, "out of memory: folders are not watched");
	if (rc < 0) {
		free(touched);
		return rc;
	}
	folders->touched = touched;
	folders->n = report->n_folders;
	return 1;
}

void watched_folders_forget(struct watched_folders *folders)
{
	folder_watch_set(&folders->watch, NULL, 0, NULL);
	free(steal_pointer(&folders->touched));
	folders->n = 0;
}

const bool *watched_folders_touched(struct watched_folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		folders->touched[i] = folder_watch_take(&folders->watch, i) || folders->touched[i];
	return folders->touched;
}

void watched_folders_are_looked_at(struct watched_folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		folders->touched[i] = false;
}

bool watched_folders_hear_everything(const struct watched_folders *folders)
{
	if (folder_watch_fd(&folders->watch) < 0 || !folders->touched)
		return false;
	for (size_t i = 0; i < folders->n; i++)
		if (folder_watch_is_deaf(&folders->watch, i, NULL) == 1)
			return false;
	return true;
}

void watched_folders_say_deaf(const struct watched_folders *folders, const struct report *report,
			      unsigned every_s)
{
	for (size_t i = 0; i < folders->n; i++) {
		cleanup_buf struct buf reason = BUF_INIT;

		if (folder_watch_is_deaf(&folders->watch, i, &reason) != 1)
			continue;
		log_warning("%s: changes in it may go unheard: %s; it is looked at every %u s",
			    report->folders[i].path, buf_text(&reason), every_s);
	}
}
