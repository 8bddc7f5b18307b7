/* SPDX-License-Identifier: MIT */
/* dovecot_judge - whether Dovecot would take a configuration. */
#include "dovecot_judge.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/dovecot_conf.h"
#include "server.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>

int dovecot_judge(const struct host *host, const struct dovecot_conf *wanted, struct error *err)
{
	static const char *const command[] = { "doveconf", "-c", HOST_JUDGE_DOVECOT,
					       "-x",       "-n", NULL };
	cleanup_buf struct buf said = BUF_INIT;
	struct span words;
	int rc = 0;

	if (wanted->n_files == 0)
		return error_set(err, -EINVAL, "Dovecot's configuration cannot be read");
	for (size_t i = 0; i < wanted->n_files && rc == 0; i++) {
		cleanup_buf struct buf text = BUF_INIT;
		char name[32];

		dovecot_conf_relocate(wanted, i, HOST_JUDGE_DIRECTORY, &text);
		snprintf(name, sizeof(name), "%zu.conf", i);
		rc = buf_check(&text, err);
		if (rc == 0)
			rc = server_write_candidate(host, name, buf_span(&text), err);
	}
	if (rc < 0)
		return rc;
	rc = tool_run(&host->root, command, &said, err);
	if (rc == -ENOENT)
		return 1;
	rc = tool_verdict(command[0], rc, err);
	if (rc <= 0)
		return rc;
	for (size_t i = 0; i < wanted->n_files; i++) {
		char copy[sizeof(HOST_JUDGE_DIRECTORY) + 32];

		snprintf(copy, sizeof(copy), HOST_JUDGE_DIRECTORY "/%zu.conf", i);
		buf_replace(&said, copy, wanted->files[i].path);
	}
	words = span_trim(buf_span(&said), " \r\n");
	return error_set(err, -EINVAL, "doveconf does not accept the configuration: %.*s",
			 SERVER_WORDS(words));
}
