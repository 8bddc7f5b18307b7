/* SPDX-License-Identifier: MIT */
/*
 * apply_gate - the gate, while a survey is made to come true: put up before a port opens, let go of
 * what has closed, and put back when the rest could not be done.  What it does is logged.
 */
#ifndef SIDECAR_APPLY_GATE_H
#define SIDECAR_APPLY_GATE_H

struct error;
struct server;
struct survey;

/*
 * Before a port opens; the ports that close are guarded as long as they are open.  0, or the errors
 * of gate_guard().
 */
int apply_gate_before(struct survey *survey, struct error *err);

/*
 * Guard what is open with the files as they are; nothing else of the survey is put in force.
 * 0, or why something stands that is not guarded.
 */
int apply_gate_standing(struct survey *survey, struct error *err);

/*
 * For a server that is not told of its files: where it has a port that asks for a header by the
 * files of before, and is not to by those that are there now, the gate will stay
 * (server->still_open).
 */
void apply_gate_look_at_untold(const struct survey *survey, struct server *server);

/* What is not open any more is not ours to guard. */
void apply_gate_settle(struct survey *survey);

/* As it was before apply_gate_before(). */
void apply_gate_restore(struct survey *survey);

#endif
