/* SPDX-License-Identifier: MIT */
/* judge - whether the servers would take what a survey plans. */
#include "judge.h"

#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "survey.h"

#include <errno.h>

int judge_server(const struct survey_request *request, const struct server *server,
		 struct error *err)
{
	int rc = server->kind->judge(request->host, server, err);

	server_remove_candidates(request->host);
	if (rc == 1 && request->rehearse)
		return error_set(err, -ENOENT, "not judged"); /* the look says so */
	if (rc == 1)
		log_notice(
			"%s: its own configuration tool is not here: the candidate is not judged",
			server->kind->name);
	return rc < 0 ? error_wrap(err, rc, "%s: judge", server->kind->name) : 0;
}

/* By a rehearsal, and the survey was taken after it. */
static bool was_judged(const struct survey_request *request, const struct survey *r)
{
	return request->judged && digest_equal(request->judged, &r->attempt);
}

static int judge_and_bind(const struct survey_request *request, const struct survey *r,
			  const struct server *server, struct error *err)
{
	int rc = was_judged(request, r) ? 0 : judge_server(request, server, err);

	if (rc == 0) {
		rc = server->kind->check_ports(request->host, server, err);
		if (rc < 0)
			error_wrap(err, rc, "%s: bind", server->kind->name);
	}
	return rc;
}

static int judge_each(const struct survey_request *request, struct survey *r, struct error *err)
{
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		struct server *server = &r->servers[i];
		bool is_needed = survey_needs_work(server);
		int verdict = is_needed ? judge_and_bind(request, r, server, err) : 0;

		if (verdict < 0 && !request->each_alone)
			return verdict;
		any = any || (verdict == 0 && is_needed);
		if (verdict < 0) {
			rc = verdict;
			survey_leave_out(server, err);
			gate_keep_all(&r->gate);
		}
	}
	return any ? 0 : rc;
}

/* The tools take their time: what their candidates were made of may be another one now. */
static int check_still_the_same(const struct survey_request *request, const struct survey *r,
				struct error *err)
{
	CLEANUP(survey_release) struct survey now = SURVEY_INIT;
	struct survey_request again = *request;
	struct error why;

	again.await_start = false;
	if (survey_take(&again, &now, &why) < 0)
		return error_set(err, -ESTALE, "%s", why.msg);
	if (!digest_equal(&now.attempt, &r->attempt))
		return error_set(err, -ESTALE, "something changed while it was judged");
	return 0;
}

int judge_survey(const struct survey_request *request, struct survey *survey, struct error *err)
{
	int rc = judge_each(request, survey, err);

	if (rc < 0)
		return rc;
	if (request->rehearse) /* whoever takes it at its word surveys again */
		return error_set(err, -ECANCELED, "only a rehearsal");
	return was_judged(request, survey) ? 0 : check_still_the_same(request, survey, err);
}
