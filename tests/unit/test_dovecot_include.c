/* SPDX-License-Identifier: MIT */
/* dovecot_conf - includes, overlays, relocation. */
#include "unit.h"

#include "patchers/dovecot_reader.h"
#include "tests/support/bundle.h"

#define MAIN "==> /e/d.conf <==\n"

struct include_case {
	const char *tree;
	const struct dovecot_overlay *overlays;
	size_t n_overlays;
};

static int read_case(const struct include_case *c, struct dovecot_conf *conf, struct error *err)
{
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);

	bundle_parse(span_from(c->tree), &tree);
	return dovecot_conf_read(&source, "/e/d.conf", c->overlays, c->n_overlays, conf, err);
}

/* "FILE:LINE path=value\n" for each setting. */
static int settings_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	int rc = read_case(ctx, &conf, err);

	for (size_t i = 0; i < conf.n_settings; i++)
		buf_add_format(out, "%s:%u %s=%s\n", conf.files[conf.settings[i].file].path,
			       conf.settings[i].line, conf.settings[i].path,
			       conf.settings[i].value);
	return rc < 0 ? rc : buf_check(out, err);
}

static void expect_settings(const char *tree, const char *settings)
{
	struct include_case c = { .tree = tree };

	unit_expect_text(settings_body, &c, settings);
}

static void includes_are_read_where_they_stand(void **state)
{
	(void)state;
	expect_settings(MAIN "a = 1\n!include x.conf\na = 3\n==> /e/x.conf <==\na = 2\n",
			"/e/d.conf:1 a=1\n/e/x.conf:1 a=2\n/e/d.conf:3 a=3\n");
	expect_settings(MAIN "!include /o/x.conf\n==> /o/x.conf <==\n!include sub/y\n"
			     "==> /o/sub/y <==\na = 1\n",
			"/o/sub/y:1 a=1\n");
	expect_settings(MAIN "!include x.conf # why\n==> /e/x.conf <==\na = 1\n",
			"/e/x.conf:1 a=1\n");
	expect_settings(MAIN "!include a b.conf\n==> /e/a b.conf <==\na = 1\n",
			"/e/a b.conf:1 a=1\n");
}

static void globs_are_read_in_order(void **state)
{
	(void)state;
	expect_settings(
		MAIN "!include conf.d/*.conf\n"
		     "==> /e/conf.d/20.conf <==\nb = 2\n"
		     "==> /e/conf.d/10.conf <==\na = 1\n"
		     "==> /e/conf.d/Z.conf <==\nz = 9\n"
		     "==> /e/conf.d/.hidden.conf <==\nno = no\n"
		     "==> /e/conf.d/sub/x.conf <==\nno = no\n"
		     "==> /e/conf.d/10.conf.bak <==\nno = no\n",
		"/e/conf.d/10.conf:1 a=1\n/e/conf.d/20.conf:1 b=2\n/e/conf.d/Z.conf:1 z=9\n");
	expect_settings(MAIN
			"!include {y,x}.conf\n==> /e/x.conf <==\nx = 1\n==> /e/y.conf <==\ny = 1\n",
			"/e/y.conf:1 y=1\n/e/x.conf:1 x=1\n");
}

static void what_matches_nothing_is_refused_unless_it_was_only_tried(void **state)
{
	static const struct include_case missing = { .tree = MAIN "\n!include no.conf\n" };
	static const struct include_case quoted = {
		.tree = MAIN "!include \"x.conf\"\n==> /e/x.conf <==\n",
	};

	(void)state;
	unit_expect_error(settings_body, &missing, -ENOENT, "/e/d.conf:2: ", "no.conf");
	unit_expect_error(settings_body, &quoted, -ENOENT, "/e/d.conf:1: ", "\"x.conf\"");
	expect_settings(MAIN "!include_try no.conf\n!include_try no/*.conf\na = 1\n",
			"/e/d.conf:3 a=1\n");
}

static void a_missing_main_file_is_said(void **state)
{
	static const struct include_case c = { .tree = "==> /e/other <==\n" };

	(void)state;
	unit_expect_error(settings_body, &c, -ENOENT, "/e/d.conf");
}

static void a_file_that_includes_itself_is_refused(void **state)
{
	static const char *const trees[] = {
		MAIN "!include d.conf\n",
		MAIN "!include_try d.conf\n",
		MAIN "!include x.conf\n==> /e/x.conf <==\n!include d.conf\n",
		MAIN "!include x.conf\n==> /e/x.conf <==\n!include_try x*\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		struct include_case c = { .tree = trees[i] };

		unit_expect_error(settings_body, &c, -ELOOP, ".conf");
	}
}

static void a_file_may_be_included_twice(void **state)
{
	(void)state;
	expect_settings(MAIN "!include x\n!include x\n==> /e/x <==\na = 1\n",
			"/e/x:1 a=1\n/e/x:1 a=1\n");
}

static void sections_and_lines_go_on_across_files(void **state)
{
	static const struct include_case unclosed = {
		.tree = MAIN "!include x\na = 1\n==> /e/x <==\n\nservice y {\n",
	};

	(void)state;
	expect_settings(MAIN "service x {\n!include in\na = 1\n}\n==> /e/in <==\nb = 2\n",
			"/e/in:1 service/x/b=2\n/e/d.conf:3 service/x/a=1\n");
	expect_settings(MAIN "!include in\na = 1\n}\n==> /e/in <==\nservice x {\n",
			"/e/d.conf:2 service/x/a=1\n");
	expect_settings(MAIN "!include in\nc\n==> /e/in <==\na = b \\\n", "/e/d.conf:2 a=b c\n");
	unit_expect_error(settings_body, &unclosed, -EINVAL, "/e/x:2: ", "'}'");
}

static void errors_name_the_file_they_are_in(void **state)
{
	static const struct include_case c = {
		.tree = MAIN "a = 1\n!include x\n==> /e/x <==\n\nbad line\n",
	};
	static const struct include_case after = {
		.tree = MAIN "!include x\nbad line\n==> /e/x <==\n\n\n",
	};

	(void)state;
	unit_expect_error(settings_body, &c, -EINVAL, "/e/x:2: ", "bad line");
	unit_expect_error(settings_body, &after, -EINVAL, "/e/d.conf:2: ", "bad line");
}

static void overlays_stand_for_files_as_they_shall_be(void **state)
{
	static char text[] = "new = 1\n";
	static const struct buf content = { .data = text, .len = sizeof(text) - 1 };
	static const struct dovecot_overlay added[] = { { "/e/c/2.conf", &content } };
	static const struct dovecot_overlay removed[] = { { "/e/c/1.conf", NULL } };
	static const struct dovecot_overlay replaced[] = { { "/e/c/1.conf", &content } };
	static const struct dovecot_overlay main_file[] = { { "/e/d.conf", &content } };
	static const struct {
		const struct dovecot_overlay *overlay;
		const char *settings;
	} cases[] = {
		{ added, "/e/c/1.conf:1 a=1\n/e/c/2.conf:1 new=1\n/e/c/3.conf:1 a=3\n" },
		{ removed, "/e/c/3.conf:1 a=3\n" },
		{ replaced, "/e/c/1.conf:1 new=1\n/e/c/3.conf:1 a=3\n" },
		{ main_file, "/e/d.conf:1 new=1\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct include_case c = {
			MAIN "!include c/*.conf\n==> /e/c/1.conf <==\na = 1\n==> /e/c/3.conf "
			     "<==\na = 3\n",
			cases[i].overlay,
			1,
		};

		unit_expect_text(settings_body, &c, cases[i].settings);
	}
}

/* A source whose included file cannot be read. */
static int read_denied(void *ctx, const char *path, struct buf *out, struct error *err)
{
	const char *main_text = ctx;

	if (strcmp(path, "/e/d.conf") != 0)
		return error_code(err, -EACCES, "open %s", path);
	buf_add_text(out, main_text);
	return buf_check(out, err);
}

static int list_one(void *ctx, const char *pattern, struct dovecot_paths *out, struct error *err)
{
	(void)ctx;
	return dovecot_paths_add(out, pattern, err);
}

static int denied_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	struct dovecot_source source = { .ctx = *(char *const *)ctx,
					 .read = read_denied,
					 .list = list_one };
	int rc = dovecot_conf_read(&source, "/e/d.conf", NULL, 0, &conf, err);

	for (size_t i = 0; i < conf.n_settings; i++)
		buf_add_format(out, "%s=%s\n", conf.settings[i].path, conf.settings[i].value);
	return rc < 0 ? rc : buf_check(out, err);
}

/* As glob(3) has them, which lists the files that are there. */
static void overlays_match_patterns_with_braces(void **state)
{
	static const struct {
		const char *pattern;
		bool matches;
	} cases[] = {
		{ "/e/c/{1,2}.conf", true },         { "/e/c/{1,3}.conf", false },
		{ "/e/{b,c}/{x,{1,2}}.conf", true }, { "/e/c/2{,.conf}", true },
		{ "/e/c/2{}.conf", true },           { "/e/{c}/[0-9].conf", true },
		{ "/e/c/2.conf{", false },           { "/e/c/{2,3.conf", false },
		{ "/e/c/\\{2,3}.conf", false },      { "/e/c/{\\2,3}.conf", true },
		{ "/e/c/{1,2}.conf{", false },       { "/e/{c/2,x}.conf", true },
	};
	struct buf content = BUF_INIT;
	const struct dovecot_overlay overlays[] = { { "/e/c/2.conf", &content } };

	(void)state;
	buf_add_text(&content, "a = 2\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup_buf struct buf tree = BUF_INIT;
		struct include_case c = { .overlays = overlays, .n_overlays = 1 };

		buf_add_format(&tree, MAIN "!include_try %s\n", cases[i].pattern);
		c.tree = buf_text(&tree);
		unit_expect_text(settings_body, &c, cases[i].matches ? "/e/c/2.conf:1 a=2\n" : "");
	}
	buf_release(&content);
}

/* Dovecot looks for the whole path, its folder's name included, as for a pattern. */
static void a_name_with_braces_is_not_what_it_matches(void **state)
{
	struct buf content = BUF_INIT;
	const struct dovecot_overlay overlays[] = { { "/e/{a,b}/2.conf", &content } };
	const struct include_case c = { MAIN "!include_try /e/{a,b}/2.conf\n", overlays, 1 };

	(void)state;
	buf_add_text(&content, "a = 2\n");
	unit_expect_text(settings_body, &c, "");
	buf_release(&content);
}

static void unreadable_files_fail_unless_they_were_only_tried(void **state)
{
	static char tried[] = "!include_try x\na = 1\n", wanted[] = "!include x\n";
	static char *const tried_ctx = tried, *const wanted_ctx = wanted;

	(void)state;
	unit_expect_text(denied_body, &tried_ctx, "a=1\n");
	unit_expect_error(denied_body, &wanted_ctx, -EACCES, "/e/x");
}

static int relocate_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	int rc = read_case(ctx, &conf, err);

	for (size_t i = 0; i < conf.n_files; i++) {
		buf_add_format(out, "-- %s\n", conf.files[i].path);
		dovecot_conf_relocate(&conf, i, "/copy", out);
	}
	return rc < 0 ? rc : buf_check(out, err);
}

static void relocated_files_point_at_each_other(void **state)
{
	static const struct include_case c = {
		.tree = MAIN "# top\na = 1\n!include c/*.conf # all\n!include_try none\r\n"
			     "s = <key.pem\nt = </abs\nu = \"<no\"\n"
			     "==> /e/c/1.conf <==\n!include ../x\n"
			     "==> /e/c/2.conf <==\nk = < k.pem\n"
			     "==> /e/c/../x <==\nx = 1",
	};

	(void)state;
	unit_expect_text(
		relocate_body, &c,
		"-- /e/d.conf\n# top\na = 1\n!include /copy/1.conf\n!include /copy/3.conf\n"
		"\ns = </e/key.pem\nt = </abs\nu = \"<no\"\n"
		"-- /e/c/1.conf\n!include /copy/2.conf\n"
		"-- /e/c/../x\nx = 1"
		"-- /e/c/2.conf\nk = </e/c/k.pem\n");
}

/* Of 2.4: values in quotes are paths, too, and keys may have quotes. */
static void a_path_that_is_made_absolute_reads_the_same(void **state)
{
	static const struct include_case quoted = {
		.tree = MAIN "dovecot_config_version = 2.4.0\nx_file = y # z\na_file = \"b#c\"\n"
			     "d_file = 'e\\\\\\\"'\n\"a b\" = <x\n",
	};
	static const struct include_case refused[] = {
		{ .tree = MAIN "a = <'b#c'\n" },
		{ .tree = MAIN "a = <b\r\r\n" },
		{ .tree = MAIN "a'b = <c\n" },
	};

	(void)state;
	unit_expect_text(relocate_body, &quoted,
			 "-- /e/d.conf\ndovecot_config_version = 2.4.0\nx_file = /e/y\n"
			 "a_file = \"/e/b#c\"\nd_file = \"/e/e\\\\\\\"\"\n\"a b\" = </e/x\n");
	for (size_t i = 0; i < 3; i++)
		unit_expect_error(relocate_body, &refused[i], -EINVAL,
				  "/e/d.conf:1: a file's name that cannot be made absolute");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(includes_are_read_where_they_stand),
		cmocka_unit_test(globs_are_read_in_order),
		cmocka_unit_test(what_matches_nothing_is_refused_unless_it_was_only_tried),
		cmocka_unit_test(a_missing_main_file_is_said),
		cmocka_unit_test(a_file_that_includes_itself_is_refused),
		cmocka_unit_test(a_file_may_be_included_twice),
		cmocka_unit_test(sections_and_lines_go_on_across_files),
		cmocka_unit_test(errors_name_the_file_they_are_in),
		cmocka_unit_test(overlays_stand_for_files_as_they_shall_be),
		cmocka_unit_test(overlays_match_patterns_with_braces),
		cmocka_unit_test(a_name_with_braces_is_not_what_it_matches),
		cmocka_unit_test(unreadable_files_fail_unless_they_were_only_tried),
		cmocka_unit_test(relocated_files_point_at_each_other),
		cmocka_unit_test(a_path_that_is_made_absolute_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
