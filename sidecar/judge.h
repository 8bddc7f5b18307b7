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
 * Have the server's own tool judge its candidate.  0, also where the tool is not
 * there, which is logged, or what it has against it.
 */
int judge_server(const struct survey_request *request, const struct server *server,
		 struct error *err);

/*
 * Judge all that would change, bind its ports, and see that what was judged is
 * still what is there.  0; -ECANCELED for a rehearsal that found everything good; -ESTALE when
 * something changed meanwhile; else the reason.  With each_alone a server that is
 * refused is left out, and the reason is returned when none remains.
 */
int judge_survey(const struct survey_request *request, struct survey *survey, struct error *err);

#endif
