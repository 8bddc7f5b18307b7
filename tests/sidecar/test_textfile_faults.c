/* SPDX-License-Identifier: MIT */
/*
 * textfile - the old bytes or the new ones, whichever system call fails and
 * wherever the process ends.
 */
#include "sandbox.h"

#include "sidecar/textfile.h"
#include "syscall_fault.h"

#include <stdio.h>
#include <sys/stat.h>

#define FOLDER "/etc/postfix"
#define FILE_PATH FOLDER "/master.cf"
#define SAVED_PATH FILE_PATH ".postern-saved"
#define OLD "the old text, which is the longer one\n"
#define NEW "the new text\n"
#define STALE "what an interrupted write saved long ago\n"

enum { CALLS_MAX = 200 };

static const enum syscall_fault_kind ends[] = {
	SYSCALL_FAULT_END_BEFORE,
	SYSCALL_FAULT_END_AMID,
	SYSCALL_FAULT_END_AFTER,
};

/* The same file in its four kinds. */
enum kind { KIND_PLAIN, KIND_LINK, KIND_MOUNT, KIND_LINKED_MOUNT, KIND_COUNT };

static const struct {
	const char *path;   /* of the file itself */
	const char *folder; /* where it is */
	const char *name;
} kinds[KIND_COUNT] = {
	[KIND_PLAIN] = { FILE_PATH, FOLDER, "master.cf" },
	[KIND_LINK] = { "/srv/real.cf", "/srv", "real.cf" },
	[KIND_MOUNT] = { FILE_PATH, FOLDER, "master.cf" },
	[KIND_LINKED_MOUNT] = { "/srv/real.cf", "/srv", "real.cf" },
};

static bool is_mount(enum kind kind)
{
	return kind == KIND_MOUNT || kind == KIND_LINKED_MOUNT;
}

static void make_file(const struct sandbox *s, enum kind kind)
{
	sandbox_write(s, kinds[kind].path, is_mount(kind) ? "" : OLD);
	if (kind == KIND_LINK || kind == KIND_LINKED_MOUNT)
		sandbox_link(s, "../../srv/real.cf", FILE_PATH);
	if (!is_mount(kind))
		return;
	sandbox_write(s, "/volume/file", OLD);
	sandbox_bind(s, "/volume/file", kinds[kind].path);
}

static struct textfile_content holding(struct span text)
{
	return (struct textfile_content){ .exists = true, .text = text };
}

static int swap_to(const struct sandbox *s, struct span from, const char *to)
{
	enum textfile_how how;

	return textfile_swap(&s->root, FILE_PATH, holding(from), holding(span_from(to)), &how,
			     NULL);
}

/* Back to OLD, whatever it holds. */
static void reset(const struct sandbox *s)
{
	cleanup_buf struct buf now = BUF_INIT;

	sandbox_read(s, FILE_PATH, &now);
	assert_int_equal(swap_to(s, buf_span(&now), OLD), 0);
}

static bool holds(const struct sandbox *s, const char *text)
{
	cleanup_buf struct buf now = BUF_INIT;

	sandbox_read(s, FILE_PATH, &now);
	return span_is(buf_span(&now), text);
}

static void assert_clean(const struct sandbox *s, enum kind kind)
{
	sandbox_assert_names(s, kinds[kind].folder, kinds[kind].name);
	sandbox_assert_names(s, FOLDER, "master.cf");
}

/* ---- every call fails ---- */

static void fail_each_call(const struct sandbox *s, enum kind kind, int code)
{
	make_file(s, kind);
	for (unsigned n = 1;; n++) {
		const char *call;
		int rc;

		assert_true(n < CALLS_MAX);
		syscall_fault_arm(n, SYSCALL_FAULT_ERROR, code);
		rc = swap_to(s, span_from(OLD), NEW);
		call = syscall_fault_disarm();
		if (!holds(s, rc < 0 ? OLD : NEW))
			fail_msg("call %u, %s: returned %d, but the file is another", n, call, rc);
		/* what cannot be removed stays, and is no obstacle */
		if (!call || strcmp(call, "unlinkat") != 0)
			assert_clean(s, kind);
		assert_int_equal(textfile_recover(&s->root, FILE_PATH, NULL) < 0, 0);
		if (!holds(s, OLD) && !holds(s, NEW))
			fail_msg("call %u, %s: neither old nor new after recovery", n, call);
		reset(s);
		assert_clean(s, kind);
		if (!call)
			return;
	}
}

static void a_failing_call_leaves_the_old_plain_file(void **state)
{
	fail_each_call(*state, KIND_PLAIN, EIO);
}

static void a_failing_call_leaves_the_old_target_of_a_link(void **state)
{
	fail_each_call(*state, KIND_LINK, ENOSPC);
}

static void a_failing_call_leaves_the_old_mounted_file(void **state)
{
	fail_each_call(*state, KIND_MOUNT, EIO);
}

static void a_failing_call_leaves_the_old_mounted_file_behind_a_link(void **state)
{
	fail_each_call(*state, KIND_LINKED_MOUNT, ENOSPC);
}

/* ---- the process ends at every call ---- */

struct victim {
	const struct sandbox *sandbox;
	unsigned n;
	enum syscall_fault_kind kind;
	bool recover; /* else: swap OLD for NEW */
};

static void be_victim(void *ctx)
{
	const struct victim *v = ctx;
	int rc;

	syscall_fault_arm(v->n, v->kind, 0);
	rc = v->recover ? textfile_recover(&v->sandbox->root, FILE_PATH, NULL)
			: swap_to(v->sandbox, span_from(OLD), NEW);
	syscall_fault_disarm();
	_exit(rc < 0 ? 1 : 0);
}

/* Whether the process ended at the n-th call; false when there are fewer. */
static bool interrupt(const struct sandbox *s, unsigned n, enum syscall_fault_kind kind,
		      bool recover)
{
	struct victim victim = { s, n, kind, recover };
	int status = sandbox_in_child(be_victim, &victim);

	if (status != SYSCALL_FAULT_STATUS)
		assert_int_equal(status, 0);
	return status == SYSCALL_FAULT_STATUS;
}

static void end_at_each_call(const struct sandbox *s, enum kind kind)
{
	bool more = true;

	make_file(s, kind);
	for (unsigned n = 1; more; n++) {
		assert_true(n < CALLS_MAX);
		for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
			more = interrupt(s, n, ends[e], false);
			if (!is_mount(kind) && !holds(s, OLD) && !holds(s, NEW))
				fail_msg("ended at call %u (%zu): neither old nor new", n, e);
			assert_true(textfile_recover(&s->root, FILE_PATH, NULL) >= 0);
			if (!holds(s, OLD) && !holds(s, NEW))
				fail_msg("ended at call %u (%zu): neither old nor new", n, e);
			reset(s);
			assert_clean(s, kind);
		}
	}
}

static void an_end_at_any_call_leaves_the_old_or_the_new_plain_file(void **state)
{
	end_at_each_call(*state, KIND_PLAIN);
}

static void an_end_at_any_call_leaves_the_old_or_the_new_target_of_a_link(void **state)
{
	end_at_each_call(*state, KIND_LINK);
}

static void after_an_end_at_any_call_a_mounted_file_is_recovered(void **state)
{
	end_at_each_call(*state, KIND_MOUNT);
}

static void after_an_end_at_any_call_a_mounted_file_behind_a_link_is_recovered(void **state)
{
	end_at_each_call(*state, KIND_LINKED_MOUNT);
}

/* ---- a saved copy that is there already ---- */

static void an_older_saved_copy_is_not_what_comes_back(void **state)
{
	const struct sandbox *s = *state;
	bool more = true;

	make_file(s, KIND_MOUNT);
	for (unsigned n = 1; more; n++) {
		bool was_whole;

		assert_true(n < CALLS_MAX);
		sandbox_write(s, SAVED_PATH, STALE);
		more = interrupt(s, n, SYSCALL_FAULT_END_AMID, false);
		was_whole = holds(s, OLD) || holds(s, NEW);
		assert_true(textfile_recover(&s->root, FILE_PATH, NULL) >= 0);
		/* Before our write began, the copy of whoever came first is the one to put back. */
		if (!holds(s, OLD) && !holds(s, NEW) && !(was_whole && holds(s, STALE)))
			fail_msg("ended at call %u: neither old nor new", n);
		reset(s);
		assert_clean(s, KIND_MOUNT);
	}
}

static void a_recovery_that_is_interrupted_is_done_again(void **state)
{
	const struct sandbox *s = *state;

	make_file(s, KIND_MOUNT);
	for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
		bool more = true;

		for (unsigned n = 1; more; n++) {
			assert_true(n < CALLS_MAX);
			sandbox_write(s, "/volume/file", "half of the n");
			sandbox_write(s, SAVED_PATH, OLD);
			more = interrupt(s, n, ends[e], true);
			assert_true(textfile_recover(&s->root, FILE_PATH, NULL) >= 0);
			assert_true(holds(s, OLD));
			reset(s);
			assert_clean(s, KIND_MOUNT);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failing_call_leaves_the_old_plain_file),
		TEST(a_failing_call_leaves_the_old_target_of_a_link),
		TEST(a_failing_call_leaves_the_old_mounted_file),
		TEST(a_failing_call_leaves_the_old_mounted_file_behind_a_link),
		TEST(an_end_at_any_call_leaves_the_old_or_the_new_plain_file),
		TEST(an_end_at_any_call_leaves_the_old_or_the_new_target_of_a_link),
		TEST(after_an_end_at_any_call_a_mounted_file_is_recovered),
		TEST(after_an_end_at_any_call_a_mounted_file_behind_a_link_is_recovered),
		TEST(an_older_saved_copy_is_not_what_comes_back),
		TEST(a_recovery_that_is_interrupted_is_done_again),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
