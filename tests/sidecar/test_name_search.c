/* SPDX-License-Identifier: MIT */
/* name_search - the names that resolv.conf(5) makes of one, in their order. */
#include "tests/unit/unit.h"

#include "sidecar/name_search.h"

#include <stdio.h>

static void assert_candidates(const char *conf, const char *name, const char *wanted)
{
	cleanup_buf struct buf found = BUF_INIT;
	struct name_search search;
	char candidate[NAME_SEARCH_BYTES];

	name_search_read(span_from(conf), &search);
	for (size_t i = 0; name_search_candidate(&search, name, i, candidate); i++)
		buf_add_format(&found, "%s%s", i > 0 ? " " : "", candidate);
	assert_string_equal(buf_text(&found), wanted);
}

#define POD                                                                                        \
	"search mail.svc.cluster.test svc.cluster.test cluster.test\n"                             \
	"nameserver 10.43.0.10\noptions ndots:5\n"

static void a_name_with_few_dots_is_looked_for_in_the_domains_first(void **state)
{
	(void)state;
	assert_candidates(POD, "dms",
			  "dms.mail.svc.cluster.test dms.svc.cluster.test dms.cluster.test dms");
	assert_candidates(POD, "dms.mail.svc",
			  "dms.mail.svc.mail.svc.cluster.test dms.mail.svc.svc.cluster.test "
			  "dms.mail.svc.cluster.test dms.mail.svc");
}

static void a_name_with_enough_dots_is_taken_as_it_is_first(void **state)
{
	(void)state;
	assert_candidates(POD, "a.b.c.d.e.f",
			  "a.b.c.d.e.f a.b.c.d.e.f.mail.svc.cluster.test "
			  "a.b.c.d.e.f.svc.cluster.test a.b.c.d.e.f.cluster.test");
	assert_candidates("search x\n", "a.b", "a.b a.b.x");
	assert_candidates("search x\n", "a", "a.x a");
	assert_candidates("search x\noptions ndots:0\n", "a", "a a.x");
}

static void a_full_name_is_looked_for_nowhere_else(void **state)
{
	(void)state;
	assert_candidates(POD, "mail.example.test.", "mail.example.test");
	assert_candidates(POD, "dms.", "dms");
}

static void without_domains_there_is_the_name_alone(void **state)
{
	(void)state;
	assert_candidates("", "dms", "dms");
	assert_candidates("nameserver 127.0.0.1\n", "mail.example.test", "mail.example.test");
	assert_candidates("search\n", "dms", "dms");
	assert_candidates("search .\n", "dms", "dms");
}

static void the_last_line_of_domains_counts(void **state)
{
	(void)state;
	assert_candidates("search a b\nsearch c\n", "h", "h.c h");
	assert_candidates("search a b\ndomain c d\n", "h", "h.c h");
	assert_candidates("domain c\nsearch a b\n", "h", "h.a h.b h");
}

static void blanks_comments_and_nonsense_do_no_harm(void **state)
{
	(void)state;
	assert_candidates("#search x\n;search y\n  search \t a.  \r\n\noptions\n", "h", "h.a h");
	assert_candidates("search a\noptions ndots: ndots:x timeout:1 ndots:-3\n", "h.i",
			  "h.i h.i.a");
	assert_candidates("search a\noptions timeout:1 ndots:2 rotate", "h.i", "h.i.a h.i");
	assert_candidates("search a\noptions ndots:9999\n",
			  "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16",
			  "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16 "
			  "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.a");
}

static void domains_have_a_limit(void **state)
{
	cleanup_buf struct buf conf = BUF_INIT;
	struct name_search search;
	char candidate[NAME_SEARCH_BYTES];

	(void)state;
	buf_add_text(&conf, "search");
	for (int i = 0; i < 100; i++)
		buf_add_format(&conf, " d%d", i);
	name_search_read(buf_span(&conf), &search);
	assert_int_equal(search.n_domains, NAME_SEARCH_DOMAINS_MAX);
	assert_true(name_search_candidate(&search, "h", NAME_SEARCH_DOMAINS_MAX, candidate));
	assert_string_equal(candidate, "h");
	assert_false(name_search_candidate(&search, "h", NAME_SEARCH_DOMAINS_MAX + 1, candidate));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_with_few_dots_is_looked_for_in_the_domains_first),
		cmocka_unit_test(a_name_with_enough_dots_is_taken_as_it_is_first),
		cmocka_unit_test(a_full_name_is_looked_for_nowhere_else),
		cmocka_unit_test(without_domains_there_is_the_name_alone),
		cmocka_unit_test(the_last_line_of_domains_counts),
		cmocka_unit_test(blanks_comments_and_nonsense_do_no_harm),
		cmocka_unit_test(domains_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
