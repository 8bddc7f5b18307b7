/* SPDX-License-Identifier: MIT */
/* log - one line and one write an event, readable by machines. */
#include "tests/unit/unit.h"

#include "sidecar/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

enum { WRITE_MAX = 65536 };

/* Standard error as a socket that keeps the borders between writes. */
struct capture {
	int saved_fd;
	int ours;
};

static int start_capture(void **state)
{
	static struct capture c;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	fflush(stderr);
	c.saved_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	c.ours = ends[0];
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log_set_up(LOG_LEVEL_NOTICE, false);
	*state = &c;
	return 0;
}

static int end_capture(void **state)
{
	struct capture *c = *state;

	dup2(c->saved_fd, STDERR_FILENO);
	close(c->saved_fd);
	close(c->ours);
	return 0;
}

/* The next write's bytes; empty when there was none. */
static struct span next_write(const struct capture *c)
{
	static char bytes[WRITE_MAX];
	ssize_t n = recv(c->ours, bytes, sizeof(bytes), MSG_DONTWAIT);

	return span_make(bytes, n > 0 ? (size_t)n : 0);
}

static void an_event_is_one_line_in_one_write(void **state)
{
	log_error("a %s", "b");
	unit_assert_span(next_write(*state), span_from("postern: error: a b\n"));
	log_warning("%d", 7);
	unit_assert_span(next_write(*state), span_from("postern: warning: 7\n"));
	log_notice("%s", "");
	unit_assert_span(next_write(*state), span_from("postern: notice: \n"));
	unit_assert_span(next_write(*state), span_from(""));
}

static void what_is_below_the_level_is_dropped(void **state)
{
	static const enum log_level levels[] = { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING,
						 LOG_LEVEL_NOTICE, LOG_LEVEL_INFO,
						 LOG_LEVEL_DEBUG };

	log_info("dropped by default");
	unit_assert_span(next_write(*state), span_from(""));
	for (size_t set = 0; set < ARRAY_SIZE(levels); set++) {
		log_set_up(levels[set], false);
		for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
			log_write(levels[i], "x");
			assert_int_equal(next_write(*state).len > 0, i <= set);
		}
	}
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("warning"), LOG_LEVEL_WARNING);
	assert_int_equal(log_level_parse("notice"), LOG_LEVEL_NOTICE);
	assert_int_equal(log_level_parse("info"), LOG_LEVEL_INFO);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("Error"), -1);
	assert_int_equal(log_level_parse("err"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

static void errno_is_kept(void **state)
{
	errno = EXDEV;
	log_error("x");
	assert_int_equal(errno, EXDEV);
	errno = EXDEV;
	log_debug("x");
	assert_int_equal(errno, EXDEV);
	next_write(*state);
}

static void a_closed_standard_error_is_no_failure(void **state)
{
	struct capture *c = *state;

	close(STDERR_FILENO);
	errno = EXDEV;
	log_error("nobody hears");
	assert_int_equal(errno, EXDEV);
	dup2(c->saved_fd, STDERR_FILENO);
}

static void control_characters_are_escaped_in_text(void **state)
{
	log_error("a\nb\r\tc\x1b[31m\x7f");
	unit_assert_span(next_write(*state),
			 span_from("postern: error: a\\nb\\x0d\\x09c\\x1b[31m\\x7f\n"));
	/* U+009B is what ESC [ is to a terminal; so is the byte alone to an old one */
	log_error("\xc2\x9b"
		  "31m \x9b"
		  "31m");
	assert_null(memchr(next_write(*state).data, 0x9b, 40));
	log_error("gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
	unit_assert_span(next_write(*state),
			 span_from("postern: error: gr\xc3\xbc\xc3\x9f \xe2\x82\xac\n"));
}

/* ---- JSON, judged by Python's parser ---- */

/* The message in a line, as UTF-8. */
static void parse_json(struct span line, char *out, size_t size)
{
	static const char program[] =
		"import sys,json,datetime\n"
		"d=sys.stdin.buffer.read()\n"
		"assert d.endswith(b'\\n') and d.count(b'\\n')==1, d\n"
		"o=json.loads(d.decode('utf-8'))\n"
		"assert set(o)=={'time','level','message'}, o\n"
		"datetime.datetime.strptime(o['time'],'%Y-%m-%dT%H:%M:%S.%fZ')\n"
		"sys.stdout.buffer.write((o['level']+' '+o['message']).encode('utf-8'))\n";
	char path[] = "/tmp/postern-log-XXXXXX", command[1024];
	int fd = mkstemp(path);
	FILE *file;
	size_t n;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, line.data, line.len), line.len);
	close(fd);
	snprintf(command, sizeof(command), "python3 -I -c \"%s\" <%s", program, path);
	file = popen(command, "re");
	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	assert_int_equal(pclose(file), 0);
	unlink(path);
}

static void assert_json(const struct capture *c, const char *message, const char *parsed)
{
	char out[4096];

	log_set_up(LOG_LEVEL_NOTICE, true);
	log_warning("%s", message);
	parse_json(next_write(c), out, sizeof(out));
	if (parsed)
		assert_string_equal(out, parsed);
}

static void a_json_line_has_time_level_and_message(void **state)
{
	assert_json(*state, "plain", "warning plain");
	assert_json(*state, "", "warning ");
}

static void every_character_comes_back_from_json(void **state)
{
	char all[0x80] = "", wanted[0x90];

	for (int i = 1; i < 0x80; i++)
		all[i - 1] = (char)i;
	snprintf(wanted, sizeof(wanted), "warning %s", all);
	assert_json(*state, all, wanted);
	assert_json(*state, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac",
		    "warning gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac");
}

static void bytes_that_are_no_utf_8_do_not_break_json(void **state)
{
	static const char *const messages[] = {
		"latin-1 \xfc",
		"\x80\x81",
		"\xc3",
		"\xe2\x82",
		"\xc0\xaf",
		"\xed\xa0\x80",
		"\xf8\x88\x80\x80\x80",
		"\xf4\x90\x80\x80",
		"\xff\xfe end",
	};

	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		assert_json(*state, messages[i], NULL);
}

static void a_message_without_end_is_cut_and_stays_one_line(void **state)
{
	static const char *const pieces[] = {
		"x", "\x01", "\"", "\\", "\n", "\xe2\x82\xac", "\xfc"
	};
	cleanup_buf struct buf message = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		char out[16384];
		struct span line;

		buf_clear(&message);
		buf_add_text(&message, i % 2 ? "a" : "ab");
		while (message.len < 10000)
			buf_add_text(&message, pieces[i]);
		log_set_up(LOG_LEVEL_NOTICE, true);
		log_error("%s", buf_text(&message));
		parse_json(next_write(*state), out, sizeof(out));
		assert_true(strlen(out) > 1000);
		log_set_up(LOG_LEVEL_NOTICE, false);
		log_error("%s", buf_text(&message));
		line = next_write(*state);
		assert_int_equal(line.data[line.len - 1], '\n');
		assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1);
		unit_assert_span(next_write(*state), span_from(""));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_capture, end_capture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_one_line_in_one_write),
		TEST(what_is_below_the_level_is_dropped),
		TEST(levels_have_names),
		TEST(errno_is_kept),
		TEST(a_closed_standard_error_is_no_failure),
		TEST(control_characters_are_escaped_in_text),
		TEST(a_json_line_has_time_level_and_message),
		TEST(every_character_comes_back_from_json),
		TEST(bytes_that_are_no_utf_8_do_not_break_json),
		TEST(a_message_without_end_is_cut_and_stays_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
