/* SPDX-License-Identifier: MIT */
/*
 * installer - whichever system call fails and wherever the process ends, no half
 * file has a name of ours, and every script of the user's has one.
 */
#include "sandbox.h"

#include "patchers/user_hook.h"
#include "sidecar/installer.h"
#include "syscall_fault.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define FOLDER "/postern"
#define PROGRAM FOLDER "/postern"
#define HOOK FOLDER "/user-patches.sh"
#define OWN FOLDER "/user-patches.own.sh"

#define OLD_PROGRAM "the old program, which is the longer one\n"
#define NEW_PROGRAM "the new program\n"
#define SCRIPT "echo mine\n"
#define OLDER_SCRIPT "echo mine of before\n"

enum { CALLS_MAX = 200 };

static const enum syscall_fault_kind ends[] = {
	SYSCALL_FAULT_END_BEFORE,
	SYSCALL_FAULT_END_AMID,
	SYSCALL_FAULT_END_AFTER,
};

static const struct user_hook hook = { .folder = FOLDER };
static const struct user_hook older_hook = { .folder = FOLDER, .config = "/of/before" };

/* What is there when it begins, and what it does. */
struct scene {
	bool own_in_place; /* a script of the user's where the hook has to be; else the older hook
			    */
	bool own_kept;     /* another one is kept */
	bool no_hook;
};

static const struct scene scenes[] = {
	{ .own_in_place = false },
	{ .own_in_place = true },
	{ .own_in_place = true, .own_kept = true },
	{ .own_in_place = false, .own_kept = true },
	{ .no_hook = true, .own_kept = true },
	{ .no_hook = true },
};

static void put_hook(const struct sandbox *s, const struct user_hook *which)
{
	cleanup_buf struct buf text = BUF_INIT;

	assert_int_equal(user_hook_render(which, &text, NULL), 0);
	sandbox_write(s, HOOK, buf_text(&text));
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0755), 0);
}

static void remove_all(const struct sandbox *s)
{
	static const char *const names[] = { PROGRAM, HOOK, OWN, OWN ".1", OWN ".2" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(sandbox_path(s, names[i]));
	sandbox_make_folder(s, FOLDER);
	sandbox_assert_names(s, FOLDER, "");
}

static void set(const struct sandbox *s, const struct scene *scene)
{
	remove_all(s);
	sandbox_write(s, "/build/postern", NEW_PROGRAM);
	sandbox_write(s, PROGRAM, OLD_PROGRAM);
	if (scene->own_in_place)
		sandbox_write(s, HOOK, SCRIPT);
	else
		put_hook(s, &older_hook);
	if (scene->own_kept)
		sandbox_write(s, OWN, OLDER_SCRIPT);
}

static int install(const struct sandbox *s, const struct scene *scene)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	char program[128];
	const struct installer_job job = { .root = &s->root,
					   .folder = FOLDER,
					   .program = program,
					   .hook = scene->no_hook ? NULL : &hook };

	snprintf(program, sizeof(program), "%s", sandbox_path(s, "/build/postern"));
	return installer_run(&job, &notes, NULL);
}

static bool holds(const struct sandbox *s, const char *inside, const char *text)
{
	cleanup_buf struct buf now = BUF_INIT;

	if (!sandbox_has(s, inside))
		return false;
	sandbox_read(s, inside, &now);
	return span_is(buf_span(&now), text);
}

static bool holds_hook(const struct sandbox *s, const struct user_hook *which)
{
	cleanup_buf struct buf text = BUF_INIT;

	assert_int_equal(user_hook_render(which, &text, NULL), 0);
	return holds(s, HOOK, buf_text(&text));
}

static bool has_script(const struct sandbox *s, const char *text)
{
	return holds(s, HOOK, text) || holds(s, OWN, text) || holds(s, OWN ".1", text);
}

/* What has to be true at any instant. */
static void assert_whole(const struct sandbox *s, const struct scene *scene, const char *where)
{
	if (!holds(s, PROGRAM, OLD_PROGRAM) && !holds(s, PROGRAM, NEW_PROGRAM))
		fail_msg("%s: the program is half", where);
	if (scene->own_in_place && !has_script(s, SCRIPT))
		fail_msg("%s: the script is lost", where);
	if (scene->own_kept && !has_script(s, OLDER_SCRIPT))
		fail_msg("%s: the older script is lost", where);
	if (!sandbox_has(s, HOOK) && !(scene->no_hook && !scene->own_kept))
		fail_msg("%s: nothing is where docker-mailserver looks", where);
	if (sandbox_has(s, HOOK) && !holds_hook(s, &hook) && !holds_hook(s, &older_hook) &&
	    !holds(s, HOOK, SCRIPT) && !holds(s, HOOK, OLDER_SCRIPT))
		fail_msg("%s: the hook is half", where);
}

/* What has to be there in the end, and nothing else. */
static void assert_complete(const struct sandbox *s, const struct scene *scene)
{
	assert_true(holds(s, PROGRAM, NEW_PROGRAM));
	if (scene->no_hook) {
		assert_true(!scene->own_kept || holds(s, HOOK, OLDER_SCRIPT));
		sandbox_assert_names(s, FOLDER,
				     scene->own_kept ? "postern user-patches.sh" : "postern");
		return;
	}
	assert_true(holds_hook(s, &hook));
	if (scene->own_in_place)
		assert_true(holds(s, OWN, SCRIPT));
	if (scene->own_in_place && scene->own_kept)
		sandbox_assert_names(s, FOLDER,
				     "postern user-patches.own.sh user-patches.own.sh.1 "
				     "user-patches.sh");
	else
		sandbox_assert_names(s, FOLDER,
				     scene->own_in_place || scene->own_kept
					     ? "postern user-patches.own.sh user-patches.sh"
					     : "postern user-patches.sh");
}

static void fail_each_call(const struct sandbox *s, const struct scene *scene, int code)
{
	const char *call = "";

	for (unsigned n = 1; call; n++) {
		char where[64];
		int rc;

		assert_true(n < CALLS_MAX);
		set(s, scene);
		syscall_fault_arm(n, SYSCALL_FAULT_ERROR, code);
		rc = install(s, scene);
		call = syscall_fault_disarm();
		snprintf(where, sizeof(where), "call %u (%s) fails", n, call ? call : "none");
		assert_whole(s, scene, where);
		if (rc >= 0)
			assert_complete(s, scene);
		assert_true(install(s, scene) >= 0);
		assert_complete(s, scene);
	}
}

static void a_failing_call_leaves_everything_whole(void **state)
{
	static const int codes[] = { EIO, ENOSPC, EPERM };

	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++)
		for (size_t c = 0; c < ARRAY_SIZE(codes); c++)
			fail_each_call(*state, &scenes[i], codes[c]);
}

/* ---- the process ends at every call ---- */

struct victim {
	const struct sandbox *sandbox;
	const struct scene *scene;
	unsigned n;
	enum syscall_fault_kind kind;
};

static void be_victim(void *ctx)
{
	const struct victim *v = ctx;
	int rc;

	syscall_fault_arm(v->n, v->kind, 0);
	rc = install(v->sandbox, v->scene);
	syscall_fault_disarm();
	_exit(rc < 0 ? 1 : 0);
}

/* Whether the process ended at the n-th call; false when there are fewer. */
static bool end_at(const struct sandbox *s, const struct scene *scene, unsigned n,
		   enum syscall_fault_kind kind)
{
	struct victim victim = { s, scene, n, kind };
	char where[64];
	int status;

	set(s, scene);
	status = sandbox_in_child(be_victim, &victim);
	if (status != SYSCALL_FAULT_STATUS)
		assert_int_equal(status, 0);
	snprintf(where, sizeof(where), "ended at call %u (%d)", n, (int)kind);
	assert_whole(s, scene, where);
	assert_true(install(s, scene) >= 0);
	assert_complete(s, scene);
	return status == SYSCALL_FAULT_STATUS;
}

static void after_an_end_at_any_call_the_next_run_completes_it(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		bool more = true;

		for (unsigned n = 1; more; n++) {
			assert_true(n < CALLS_MAX);
			for (size_t e = 0; e < ARRAY_SIZE(ends); e++)
				more = end_at(*state, &scenes[i], n, ends[e]);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failing_call_leaves_everything_whole),
		TEST(after_an_end_at_any_call_the_next_run_completes_it),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
