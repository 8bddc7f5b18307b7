/* SPDX-License-Identifier: MIT */
/*
 * judge - whether the servers would take what a survey plans: their own tools
 * say so, and the new ports can be bound.  Nothing in force is touched.
 */
#ifndef SIDECAR_JUDGE_H
#define SIDECAR_JUDGE_H

struct error;
struct server;
struct survey;
struct survey_request;

/*
 * Have the server's own tool judge its candidate.  0, or what it has against it.
 * Where the tool is not there, that is logged, and 0; for a rehearsal -ENOENT.
 */
int judge_server(const struct survey_request *request, const struct server *server,
		 struct error *err);

/*
 * Judge all that would change, bind its ports, and see that what was judged is
 * still what comes of what is there.  0; -ECANCELED for a rehearsal that found
 * everything good; -ESTALE when it is not, or cannot be seen; else the reason.  With each_alone a
 * server that is refused is left out, and the reason is returned when none remains.
 */
int judge_survey(const struct survey_request *request, struct survey *survey, struct error *err);

#endif
