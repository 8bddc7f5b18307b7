/* SPDX-License-Identifier: MIT */
/* dovecot_files - Dovecot's includes, globbed and read inside the root. */
#include "sandbox.h"

#include "patchers/dovecot_reader.h"
#include "sidecar/dovecot_files.h"

#include <sys/resource.h>

static int list_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;
	struct dovecot_source source = dovecot_files_source(&s->root);
	struct dovecot_paths paths = { 0 };
	int rc = source.list(source.ctx, "/etc/dovecot/{conf.d,more}/*.conf", &paths, err);

	for (size_t i = 0; i < paths.n_items; i++)
		buf_add_format(out, "%s\n", paths.items[i]);
	dovecot_paths_release(&paths);
	return rc < 0 ? rc : buf_check(out, err);
}

static void includes_are_globbed_inside_the_root(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/real/b.conf", "");
	sandbox_write(s, "/real/a.conf", "");
	sandbox_write(s, "/real/.hidden.conf", "");
	sandbox_write(s, "/real/c.conf.bak", "");
	sandbox_link(s, "/real", "/etc/dovecot/conf.d");
	sandbox_write(s, "/etc/dovecot/more/z.conf", "");
	unit_expect_text(list_body, s,
			 "/etc/dovecot/conf.d/a.conf\n/etc/dovecot/conf.d/b.conf\n"
			 "/etc/dovecot/more/z.conf\n");
}

static void a_pattern_that_matches_nothing_lists_nothing(void **state)
{
	const struct sandbox *s = *state;

	unit_expect_text(list_body, s, "");
}

/* Taken for empty, a folder would hide the listeners in it. */
static void a_folder_that_cannot_be_looked_into_is_an_error(void **state)
{
	const struct sandbox *s = *state;
	struct dovecot_source source = dovecot_files_source(&s->root);
	struct dovecot_paths paths = { 0 };
	struct rlimit limit, none;
	int rc, last;

	sandbox_write(s, "/etc/dovecot/conf.d/a.conf", "");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	last = dup(STDERR_FILENO);
	none = (struct rlimit){ .rlim_cur = (rlim_t)last, .rlim_max = limit.rlim_max };
	close(last);
	setrlimit(RLIMIT_NOFILE, &none);
	rc = source.list(source.ctx, "/etc/dovecot/conf.d/*.conf", &paths, NULL);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(rc, -EMFILE);
	assert_int_equal(paths.n_items, 0);
}

static void an_included_file_is_read_inside_the_root(void **state)
{
	const struct sandbox *s = *state;
	struct dovecot_source source = dovecot_files_source(&s->root);
	cleanup_buf struct buf text = BUF_INIT;

	sandbox_write(s, "/etc/passwd", "inside\n");
	sandbox_link(s, "../../../../etc/passwd", "/etc/dovecot/x.conf");
	assert_true(source.read(source.ctx, "/etc/dovecot/x.conf", &text, NULL) >= 0);
	unit_assert_span(buf_span(&text), span_from("inside\n"));
	assert_int_equal(source.read(source.ctx, "/etc/dovecot", &text, NULL), 0);
	assert_int_equal(source.read(source.ctx, "/none", &text, NULL), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(includes_are_globbed_inside_the_root),
		TEST(a_pattern_that_matches_nothing_lists_nothing),
		TEST(a_folder_that_cannot_be_looked_into_is_an_error),
		TEST(an_included_file_is_read_inside_the_root),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
