/* SPDX-License-Identifier: MIT */
/*
 * reading - print our reading of a file in the form of the server's own tool,
 * so that a test can hold the two side by side.
 *
 *   reading MODE ARGUMENT...
 *   reading batch            requests on standard input, one a line, separated by tabs;
 *                            each is answered by "STATUS LENGTH\n" and LENGTH bytes
 *
 * STATUS is 0, or a negative errno and the bytes are the message.
 */
#include "reading.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { ARGUMENTS_MAX = 16 };

int reading_file(const char *path, struct buf *out, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	do {
		if (!buf_reserve(out, 65536))
			return error_set(err, -ENOMEM, "out of memory");
		n = read(fd, out->data + out->len, 65536);
		if (n < 0)
			return error_errno(err, "read %s", path);
		out->len += (size_t)n;
	} while (n > 0);
	out->data[out->len] = '\0';
	return 0;
}

/* ---- modes ---- */

static const struct mode {
	const char *name;
	int n_arguments;
	int (*run)(char **args, struct buf *out, struct error *err);
	const char *usage;
} modes[] = {
	{ "master", 1, reading_master, "MASTER.CF (as postconf -M)" },
	{ "options", 1, reading_options, "MASTER.CF (as postconf -P)" },
	{ "fields", 1, reading_fields, "MASTER.CF (as postconf -F)" },
	{ "value", 2, reading_value, "MAIN.CF NAME (as postconf -x -h)" },
	{ "assignments", 1, reading_assignments, "MAIN.CF (as postconf -n)" },
	{ "twins", 3, reading_twins, "MASTER.CF MAIN.CF SERVICES" },
	{ "in-place", 3, reading_in_place, "MASTER.CF MAIN.CF SERVICES" },
	{ "twin-table", 3, reading_twin_table, "MASTER.CF MAIN.CF SERVICES" },
	{ "strip", 1, reading_strip, "MASTER.CF" },
	{ "override-main", 2, reading_override_main, "MAIN.CF POSTFIX-MAIN.CF" },
	{ "override-master", 2, reading_override_master, "MASTER.CF POSTFIX-MASTER.CF" },
	{ "dovecot", 2, reading_dovecot, "ROOT DOVECOT.CONF" },
	{ "dovecot-settings", 2, reading_dovecot_settings, "ROOT DOVECOT.CONF" },
	{ "drop-in", 2, reading_drop_in, "ROOT DOVECOT.CONF" },
	{ "drop-in-in-place", 2, reading_drop_in_in_place, "ROOT DOVECOT.CONF" },
	{ "holds", 5, reading_holds, "ROOT DOVECOT.CONF DROP-IN TEXT separate|in-place" },
	{ "add-include", 2, reading_add_include, "DOVECOT.CONF DROP-IN" },
	{ "strip-include", 1, reading_strip_include, "DOVECOT.CONF" },
	{ "relocate", 3, reading_relocate, "ROOT DOVECOT.CONF DIRECTORY" },
};

static int usage(void)
{
	fputs("usage: reading batch\n", stderr);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "       reading %s %s\n", modes[i].name, modes[i].usage);
	return 2;
}

/* args[0] is the mode.  1 for a request that is none. */
static int answer(char **args, int n_args, struct buf *out, struct error *err)
{
	for (size_t i = 0; n_args > 0 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(args[0], modes[i].name) == 0 && n_args == modes[i].n_arguments + 1) {
			int rc = modes[i].run(args + 1, out, err);

			return rc == 0 ? buf_check(out, err) : rc;
		}
	}
	return 1;
}

static int split(char *line, char *args[ARGUMENTS_MAX])
{
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (line && n < ARGUMENTS_MAX)
		args[n++] = strsep(&line, "\t");
	return n;
}

static int batch(void)
{
	cleanup_free char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) >= 0) {
		cleanup_buf struct buf out = BUF_INIT;
		char *args[ARGUMENTS_MAX];
		struct error err;
		int rc = answer(args, split(line, args), &out, &err);

		if (rc > 0)
			return usage();
		if (rc < 0) {
			buf_clear(&out);
			buf_add_text(&out, err.msg);
		}
		printf("%d %zu\n", rc, out.len);
		fwrite(buf_text(&out), 1, out.len, stdout);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct error err;
	int rc;

	if (argc == 2 && strcmp(argv[1], "batch") == 0)
		return batch();
	rc = answer(argv + 1, argc - 1, &out, &err);
	if (rc > 0)
		return usage();
	if (rc < 0) {
		fprintf(stderr, "reading: %s\n", err.msg);
		return 1;
	}
	fwrite(buf_text(&out), 1, out.len, stdout);
	return 0;
}
