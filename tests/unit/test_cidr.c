/* SPDX-License-Identifier: MIT */
/* cidr - IPv4 and IPv6 networks in prefix notation. */
#include "unit.h"

#include "patchers/cidr.h"

static struct cidr net(const char *text)
{
	struct cidr out = { 0 };
	struct error err;

	if (cidr_parse(span_from(text), &out, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return out;
}

static void networks_print_in_canonical_form(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
		bool host_bits;
	} cases[] = {
		{ "10.42.0.0/16", "10.42.0.0/16", false },
		{ "0.0.0.0/0", "0.0.0.0/0", false },
		{ "::/0", "::/0", false },
		{ "192.0.2.7", "192.0.2.7/32", false },
		{ "2001:db8::7", "2001:db8::7/128", false },
		{ "FD00:42:0:0::/48", "fd00:42::/48", false },
		{ "10.42.1.2/16", "10.42.0.0/16", true },
		{ "10.42.0.129/25", "10.42.0.128/25", true },
		{ "255.255.255.255/1", "128.0.0.0/1", true },
		{ "fd00:42::1/48", "fd00:42::/48", true },
		{ "fd00::ffff/127", "fd00::fffe/127", true },
		{ "::ffff:192.0.2.7", "192.0.2.7/32", false },
		{ "::ffff:192.0.2.0/120", "192.0.2.0/24", false },
		{ "::ffff:192.0.2.7/120", "192.0.2.0/24", true },
		{ "::ffff:0:0/96", "0.0.0.0/0", false },
		{ "::/95", "::/95", false },
		{ "10.0.0.0/08", "10.0.0.0/8", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char printed[CIDR_TEXT_MAX];
		bool host_bits = !cases[i].host_bits;
		struct cidr out;

		assert_int_equal(cidr_parse(span_from(cases[i].text), &out, &host_bits, NULL), 0);
		assert_string_equal(cidr_print(&out, printed), cases[i].canonical);
		assert_int_equal(host_bits, cases[i].host_bits);
	}
}

static void what_is_no_network_is_refused_with_its_text(void **state)
{
	static const struct {
		struct span text;
		const char *part;
	} cases[] = {
		{ SPAN_INIT(""), "" },
		{ SPAN_INIT("/8"), "" },
		{ SPAN_INIT("localhost"), "localhost" },
		{ SPAN_INIT("10.0.0"), "10.0.0" },
		{ SPAN_INIT("10.0.0.256/8"), "10.0.0.256" },
		{ SPAN_INIT("010.0.0.1"), "010.0.0.1" },
		{ SPAN_INIT("10.0.0.0/"), "10.0.0.0/" },
		{ SPAN_INIT("10.0.0.0/33"), "10.0.0.0/33" },
		{ SPAN_INIT("10.0.0.0/-1"), "10.0.0.0/-1" },
		{ SPAN_INIT("10.0.0.0/8/8"), "10.0.0.0/8/8" },
		{ SPAN_INIT("10.0.0.0/255.0.0.0"), "10.0.0.0/255.0.0.0" },
		{ SPAN_INIT("10.0.0.0 /8"), "10.0.0.0 " },
		{ SPAN_INIT(" 10.0.0.0/8"), " 10.0.0.0" },
		{ SPAN_INIT("fd00::/129"), "fd00::/129" },
		{ SPAN_INIT("fd00:::/48"), "fd00:::" },
		{ SPAN_INIT("[::1]"), "[::1]" },
		{ SPAN_INIT("fe80::1%eth0"), "fe80::1%eth0" },
		{ SPAN_INIT("::1\0"), "NUL" },
		{ SPAN_INIT("1111:2222:3333:4444:5555:6666:255.255.255.255.255.255"), "1111" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cidr out = { .prefix = 77 };
		struct error err = { 0 };

		if (cidr_parse(cases[i].text, &out, NULL, &err) != -EINVAL)
			fail_msg("taken: \"%.*s\"", SPAN_ARG(cases[i].text));
		unit_assert_contains(span_from(err.msg), cases[i].part);
		assert_int_equal(out.prefix, 77);
	}
}

static void containment_goes_by_prefix_and_family(void **state)
{
	static const struct {
		const char *outer;
		const char *inner;
		bool inside;
	} cases[] = {
		{ "10.0.0.0/8", "10.42.0.0/16", true },
		{ "10.42.0.0/16", "10.0.0.0/8", false },
		{ "10.0.0.0/8", "10.0.0.0/8", true },
		{ "10.0.0.0/9", "10.128.0.0/9", false },
		{ "0.0.0.0/0", "192.0.2.1", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "192.0.2.1", false },
		{ "fd00::/7", "fe00::/7", false },
		{ "2001:db8::/32", "2001:db8:1::1", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cidr outer = net(cases[i].outer), inner = net(cases[i].inner);

		if (cidr_contains(&outer, &inner) != cases[i].inside)
			fail_msg("%s in %s", cases[i].inner, cases[i].outer);
	}
}

static void loopback_is_127_slash_8_and_one_ipv6_address(void **state)
{
	static const char *const inside[] = { "127.0.0.1", "127.0.0.0/8", "127.255.255.255", "::1",
					      "::ffff:127.0.0.1" };
	static const char *const outside[] = { "126.0.0.0/7", "0.0.0.0/0", "::/0",
					       "::2",         "::1/127",   "10.0.0.1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		assert_true(cidr_is_loopback(&(struct cidr[]){ net(inside[i]) }[0]));
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		assert_false(cidr_is_loopback(&(struct cidr[]){ net(outside[i]) }[0]));
}

/* ctx: networks, each at most once, ended by NULL. */
static int add_all(const char *const *texts, struct cidr_list *list, struct notes *notes,
		   struct error *err)
{
	for (; *texts; texts++) {
		struct cidr one;
		int rc = cidr_parse(span_from(*texts), &one, NULL, err);

		if (rc == 0)
			rc = cidr_list_add(list, &one, notes, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int list_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(cidr_list_release) struct cidr_list list = { 0 };
	int rc = add_all(ctx, &list, NULL, err);

	cidr_list_print(&list, out);
	return rc < 0 ? rc : buf_check(out, err);
}

static int notes_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(cidr_list_release) struct cidr_list list = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = add_all(ctx, &list, &notes, err);

	unit_add_notes(out, &notes);
	return rc < 0 ? rc : buf_check(out, err);
}

static const char *const overlapping[] = { "10.1.0.0/16", "fd00::/8", "10.2.0.0/16",  "10.1.0.0/16",
					   "10.0.0.0/8",  "fd00::1",  "192.0.2.0/24", NULL };

static void list_keeps_only_the_widest_of_overlapping_networks(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	unit_expect_text(list_body, overlapping, "fd00::/8 10.0.0.0/8 192.0.2.0/24");
	unit_expect_text(list_body, none, "");
}

static void list_says_what_it_drops_and_why(void **state)
{
	(void)state;
	unit_expect_once(notes_body, overlapping,
			 "notice: network 10.1.0.0/16 is given twice\n"
			 "notice: network 10.1.0.0/16 lies inside 10.0.0.0/8: left out\n"
			 "notice: network 10.2.0.0/16 lies inside 10.0.0.0/8: left out\n"
			 "notice: network fd00::1/128 lies inside fd00::/8: left out\n");
}

static void list_covers_what_lies_in_any_of_its_networks(void **state)
{
	static const char *const texts[] = { "10.0.0.0/8", "fd00::/48", NULL };
	CLEANUP(cidr_list_release) struct cidr_list list = { 0 };
	struct cidr in = net("10.9.9.9"), in6 = net("fd00::1"), out = net("11.0.0.0/8");

	(void)state;
	assert_false(cidr_list_covers(&list, &in));
	assert_int_equal(add_all(texts, &list, NULL, NULL), 0);
	assert_true(cidr_list_covers(&list, &in));
	assert_true(cidr_list_covers(&list, &in6));
	assert_false(cidr_list_covers(&list, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_print_in_canonical_form),
		cmocka_unit_test(what_is_no_network_is_refused_with_its_text),
		cmocka_unit_test(containment_goes_by_prefix_and_family),
		cmocka_unit_test(loopback_is_127_slash_8_and_one_ipv6_address),
		cmocka_unit_test(list_keeps_only_the_widest_of_overlapping_networks),
		cmocka_unit_test(list_says_what_it_drops_and_why),
		cmocka_unit_test(list_covers_what_lies_in_any_of_its_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
