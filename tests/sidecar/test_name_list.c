/* SPDX-License-Identifier: MIT */
/* name_list - no list stands for every name, an empty one for none; memory may run out. */
#include "tests/unit/unit.h"

#include "sidecar/name_list.h"

#include <stdlib.h>

static const char *const none[] = { NULL };
static const char *const one[] = { "main.cf", NULL };
static const char *const two[] = { "main.cf", "master.cf", NULL };
static const char *const turned[] = { "master.cf", "main.cf", NULL };
static const char *const *const lists[] = { NULL, none, one, two, turned };

static void names_are_counted(void **state)
{
	static const size_t counts[ARRAY_SIZE(lists)] = { 0, 0, 1, 2, 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		assert_int_equal(name_list_count(lists[i]), counts[i]);
}

static void every_name_is_one_of_no_list_and_none_of_an_empty_one(void **state)
{
	static const struct {
		const char *const *list;
		const char *name;
		bool has;
	} rows[] = {
		{ NULL, "main.cf", true }, { none, "main.cf", false },  { none, "", false },
		{ one, "main.cf", true },  { one, "master.cf", false }, { two, "master.cf", true },
		{ two, "main", false },    { two, "main.cf.d", false }, { two, "MAIN.CF", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(name_list_has(rows[i].list, rows[i].name), rows[i].has);
}

/* turned has the names of two, in another order. */
static void each_list_is_equal_to_itself_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
			assert_int_equal(name_list_equal(lists[i], lists[k]), i == k);
}

static void release_list(char ***list)
{
	name_list_release(*list);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

/* "none", or each name and a newline. */
static int print(char *const *list, struct buf *out, struct error *err)
{
	if (!list)
		buf_add_text(out, "none");
	for (size_t i = 0; list && list[i]; i++)
		buf_add_format(out, "%s\n", list[i]);
	return buf_check(out, err);
}

static int copy_body(const void *ctx, struct buf *out, struct error *err)
{
	const char *const *const *list = ctx;
	char *before = NULL;
	CLEANUP(release_list) char **copy = &before;

	if (!name_list_copy(*list, &copy)) {
		assert_null(copy);
		return no_memory(err);
	}
	assert_true(name_list_equal(name_list_view(copy), *list));
	return print(copy, out, err);
}

static void a_copy_has_the_same_names_in_the_same_order(void **state)
{
	static const char *const texts[ARRAY_SIZE(lists)] = {
		"none", "", "main.cf\n", "main.cf\nmaster.cf\n", "master.cf\nmain.cf\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		unit_expect_text(copy_body, &lists[i], texts[i]);
}

static int add_body(const void *ctx, struct buf *out, struct error *err)
{
	const char *const *names = ctx;
	char **empty = NULL;
	CLEANUP(release_list) char **list = NULL;

	if (!name_list_copy(none, &empty))
		return no_memory(err);
	list = empty;
	for (; *names; names++)
		if (!name_list_add(&list, *names))
			return no_memory(err);
	return print(list, out, err);
}

static void a_name_is_added_once_and_as_a_copy(void **state)
{
	static const char *const names[] = { "b", "a", "b", "", "ab", "a", "", NULL };
	char changing[] = "a";
	char **list;

	(void)state;
	unit_expect_text(add_body, names, "b\na\n\nab\n");
	assert_true(name_list_copy(none, &list));
	assert_true(name_list_add(&list, changing));
	changing[0] = 'z';
	assert_string_equal(list[0], "a");
	name_list_release(list);
}

static void to_no_list_nothing_is_added(void **state)
{
	char **list = NULL;

	(void)state;
	assert_true(name_list_add(&list, "main.cf"));
	assert_null(list);
	name_list_release(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_counted),
		cmocka_unit_test(every_name_is_one_of_no_list_and_none_of_an_empty_one),
		cmocka_unit_test(each_list_is_equal_to_itself_alone),
		cmocka_unit_test(a_copy_has_the_same_names_in_the_same_order),
		cmocka_unit_test(a_name_is_added_once_and_as_a_copy),
		cmocka_unit_test(to_no_list_nothing_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
