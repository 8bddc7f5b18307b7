/* SPDX-License-Identifier: MIT */
/* postfix_judge - whether Postfix would take a main.cf and a master.cf. */
#include "postfix_judge.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/main_cf.h"
#include "patchers/postfix_value.h"
#include "server.h"
#include "tool.h"

#include <errno.h>

/* postconf(1) lets a value pass that ends every daemon and the master. */
static int judge_protocols(const struct postfix_candidate *candidate, struct error *err)
{
	cleanup_buf struct buf value = BUF_INIT;
	struct span rest;
	int rc = postfix_value_get(candidate->main_cf, NULL, span_from("inet_protocols"), &value,
				   err);

	if (rc < 0)
		return error_wrap(err, rc, "%s", candidate->main_cf_path);
	rest = buf_span(&value);
	while (rest.len > 0) {
		struct span word = span_take_word(&rest, " ,\t\r\n");

		if (word.len > 0 && !span_is(word, "all") && !span_is(word, "ipv4") &&
		    !span_is(word, "ipv6"))
			return error_set(err, -EINVAL, "%s: unknown inet_protocols value \"%.*s\"",
					 candidate->main_cf_path, SPAN_ARG(word));
	}
	return 0;
}

/* 0, or -EINVAL with the tool's words. */
static int hear_judge(const struct postfix_candidate *candidate, struct tool *tool,
		      struct error *err)
{
	cleanup_buf struct buf said = BUF_INIT;
	struct span words;
	int rc = tool_verdict(tool->name, tool_finish(tool, &said, err), err);

	if (rc <= 0)
		return rc;
	buf_replace(&said, HOST_JUDGE_DIRECTORY "/main.cf", candidate->main_cf_path);
	buf_replace(&said, HOST_JUDGE_DIRECTORY "/master.cf", candidate->master_cf_path);
	words = span_trim(buf_span(&said), " \r\n");
	return error_set(err, -EINVAL, "%s does not accept the configuration: %.*s", tool->name,
			 SERVER_WORDS(words));
}

int postfix_judge(const struct host *host, const struct postfix_candidate *candidate,
		  struct error *err)
{
	static const char *const services[] = { "postconf", "-c", HOST_JUDGE_DIRECTORY, "-M",
						NULL };
	/*
	 * postconf(1) takes values as they are.  Every other program reads and
	 * checks all common parameters first, as the master does at a reload: this
	 * one does nothing else, an inline table asked for a key.
	 */
	static const char *const parameters[] = { "postmap",  "-c", HOST_JUDGE_DIRECTORY, "-q", "a",
						  "static:b", NULL };
	struct tool of_services, of_parameters;
	int rc = judge_protocols(candidate, err), second;

	if (rc == 0)
		rc = server_write_candidate(host, "main.cf", candidate->main_cf_text, err);
	if (rc == 0)
		rc = server_write_candidate(host, "master.cf", candidate->master_cf_text, err);
	if (rc < 0)
		return rc;
	/* Both at once: neither needs the other, and there may be a processor for each. */
	rc = tool_start(&host->root, services, &of_services, err);
	if (rc < 0)
		return rc == -ENOENT ? 1 : rc;
	second = tool_start(&host->root, parameters, &of_parameters, err);
	rc = hear_judge(candidate, &of_services, err);
	if (second == 0)
		second = hear_judge(candidate, &of_parameters, rc == 0 ? err : NULL);
	if (rc < 0)
		return rc;
	return second == -ENOENT ? 1 : second;
}
