/* SPDX-License-Identifier: MIT */
/* installing - a sandbox with a folder that installer_run() fills. */
#include "installing.h"

#include "sidecar/installer.h"

#include <stdio.h>
#include <sys/stat.h>

const struct user_hook installing_usual = { .folder = FOLDER };

/* What the last one failed with, and what it installing_said. */
struct error installing_err;
char installing_said[4096];

int installing_run(const struct sandbox *s, const struct user_hook *hook)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	char program[128];
	const struct installer_job job = {
		.root = &s->root, .folder = FOLDER, .program = program, .hook = hook
	};
	int rc;

	snprintf(program, sizeof(program), "%s", sandbox_path(s, PROGRAM_PATH));
	installing_err = (struct error){ 0 };
	rc = installer_run(&job, &notes, &installing_err);
	installing_said[0] = '\0';
	for (size_t i = 0; i < notes.n_items; i++)
		snprintf(installing_said + strlen(installing_said),
			 sizeof(installing_said) - strlen(installing_said), "%s\n",
			 notes.items[i].text);
	return rc;
}

void installing_prepare(const struct sandbox *s)
{
	sandbox_write(s, PROGRAM_PATH, PROGRAM_TEXT);
	sandbox_make_folder(s, FOLDER);
}

void installing_assert_hook(const struct sandbox *s, const struct user_hook *hook)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct stat st;

	assert_int_equal(user_hook_render(hook, &text, NULL), 0);
	sandbox_assert_text(s, HOOK, buf_text(&text));
	assert_int_equal(lstat(sandbox_path(s, HOOK), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
}

void installing_assert_program(const struct sandbox *s, const char *text)
{
	struct stat st;

	sandbox_assert_text(s, PROGRAM, text);
	assert_int_equal(lstat(sandbox_path(s, PROGRAM), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
}
