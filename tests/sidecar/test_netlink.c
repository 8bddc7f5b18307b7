/* SPDX-License-Identifier: MIT */
/* Messages and attributes: what is written is read, and nothing outside is. */
#include "patchers/base/cleanup.h"
#include "sidecar/netlink.h"
#include "tests/unit/unit.h"

#include <linux/netlink.h>
#include <string.h>

static void written_attributes_are_read(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct span rest, value;
	uint16_t type;

	(void)state;
	netlink_put_text(&b, 1, "abc");
	netlink_put_be32(&b, 2, 7);
	netlink_put(&b, 3, "x", 1);
	rest = buf_span(&b);
	assert_true(netlink_take(&rest, &type, &value));
	assert_int_equal(type, 1);
	assert_memory_equal(value.data, "abc", 4);
	assert_true(netlink_take(&rest, &type, &value));
	assert_memory_equal(value.data, "\0\0\0\7", 4);
	assert_true(netlink_take(&rest, &type, &value));
	assert_int_equal(value.len, 1);
	assert_false(netlink_take(&rest, &type, &value));
	assert_true(netlink_find(buf_span(&b), 3, &value));
	assert_false(netlink_find(buf_span(&b), 4, &value));
}

static void torn_attributes_end_the_list(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct span value;
	uint16_t type;

	(void)state;
	netlink_put_text(&b, 1, "abcdefgh");
	for (size_t len = 0; len < b.len; len++) {
		/* Of its own size, so that a byte beyond it is seen. */
		cleanup_free char *torn = malloc(len + (len == 0));
		struct span rest = span_make(torn, len);

		memcpy(torn, b.data, len);
		assert_int_equal(netlink_take(&rest, &type, &value), len >= 4 + 9);
	}
}

static void an_attribute_shorter_than_its_header_is_none(void **state)
{
	static const char bytes[] = { 2, 0, 1, 0, 0, 0, 0, 0 };
	struct span rest = span_make(bytes, sizeof(bytes)), value;
	uint16_t type;

	(void)state;
	assert_false(netlink_take(&rest, &type, &value));
}

/* {1: "a", 2: [{5: "x"}, {5: y}]} */
static void put_tree(struct buf *b, const char *y, bool has_more, bool has_third)
{
	netlink_mark list, element;

	if (has_more)
		netlink_put_text(b, 9, "of a newer kernel");
	netlink_put_text(b, 1, "a");
	list = netlink_nest(b, 2);
	for (int i = 0; i < 2 + has_third; i++) {
		element = netlink_nest(b, 1);
		netlink_put_text(b, 5, i == 1 ? y : "x");
		if (has_more)
			netlink_put_be32(b, 6, 1);
		netlink_nest_end(b, element);
	}
	netlink_nest_end(b, list);
}

static bool covers(const char *y, bool has_more, bool has_third)
{
	cleanup_buf struct buf wanted = BUF_INIT, seen = BUF_INIT;

	put_tree(&wanted, "y", false, false);
	put_tree(&seen, y, has_more, has_third);
	return netlink_covers(buf_span(&seen), buf_span(&wanted));
}

static void what_is_wanted_is_covered_by_itself_and_by_more(void **state)
{
	(void)state;
	assert_true(covers("y", false, false));
	assert_true(covers("y", true, false));
}

static void another_value_or_another_element_covers_nothing(void **state)
{
	(void)state;
	assert_false(covers("z", false, false));
	assert_false(covers("yy", false, false));
	assert_false(covers("y", false, true));
}

static void order_of_types_does_not_count_and_order_in_a_list_does(void **state)
{
	cleanup_buf struct buf one = BUF_INIT, other = BUF_INIT, swapped = BUF_INIT;

	(void)state;
	netlink_put_text(&one, 1, "a");
	netlink_put_text(&one, 2, "b");
	netlink_put_text(&one, 2, "c");
	netlink_put_text(&other, 2, "b");
	netlink_put_text(&other, 2, "c");
	netlink_put_text(&other, 1, "a");
	netlink_put_text(&swapped, 1, "a");
	netlink_put_text(&swapped, 2, "c");
	netlink_put_text(&swapped, 2, "b");
	assert_true(netlink_covers(buf_span(&one), buf_span(&other)));
	assert_true(netlink_covers(buf_span(&other), buf_span(&one)));
	assert_false(netlink_covers(buf_span(&swapped), buf_span(&one)));
}

static void nests_that_are_too_deep_are_not_followed(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	netlink_mark marks[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		marks[i] = netlink_nest(&b, 1);
	for (int i = 100; i-- > 0;)
		netlink_nest_end(&b, marks[i]);
	assert_false(netlink_covers(buf_span(&b), buf_span(&b)));
}

static void a_message_is_as_long_as_it_says(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct nlmsghdr header;
	netlink_mark message;

	(void)state;
	netlink_put_text(&b, 1, "before");
	message = netlink_begin(&b, &(struct netlink_header){ .type = 7, .sequence = 3 });
	netlink_put_text(&b, 1, "in it");
	netlink_end(&b, message);
	netlink_want_answer(&b, message);
	memcpy(&header, b.data + message, sizeof(header));
	assert_int_equal(header.nlmsg_len, b.len - message);
	assert_int_equal(header.nlmsg_type, 7);
	assert_int_equal(header.nlmsg_seq, 3);
	assert_int_equal(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_attributes_are_read),
		cmocka_unit_test(torn_attributes_end_the_list),
		cmocka_unit_test(an_attribute_shorter_than_its_header_is_none),
		cmocka_unit_test(what_is_wanted_is_covered_by_itself_and_by_more),
		cmocka_unit_test(another_value_or_another_element_covers_nothing),
		cmocka_unit_test(order_of_types_does_not_count_and_order_in_a_list_does),
		cmocka_unit_test(nests_that_are_too_deep_are_not_followed),
		cmocka_unit_test(a_message_is_as_long_as_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
