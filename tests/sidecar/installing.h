/* SPDX-License-Identifier: MIT */
/* installing - a sandbox with a folder that installer_run() fills. */
#ifndef TESTS_SIDECAR_INSTALLING_H
#define TESTS_SIDECAR_INSTALLING_H

#include "sandbox.h"

#include "patchers/user_hook.h"

#define FOLDER "/postern"
#define PROGRAM FOLDER "/postern"
#define HOOK FOLDER "/user-patches.sh"
#define OWN FOLDER "/user-patches.own.sh"

/* What stands for the program. */
#define PROGRAM_PATH "/build/postern"
#define PROGRAM_TEXT "#!/bin/sh\nexit 0\n"

extern const struct user_hook installing_usual;

/* What the last one failed with, and what it said, a line each. */
extern struct error installing_err;
extern char installing_said[4096];

/* The program, and an empty folder. */
void installing_prepare(const struct sandbox *s);

/* installer_run() with this hook, or without one. */
int installing_run(const struct sandbox *s, const struct user_hook *hook);

/* The hook, or a program of this text, is there with the right mode. */
void installing_assert_hook(const struct sandbox *s, const struct user_hook *hook);
void installing_assert_program(const struct sandbox *s, const char *text);

#endif
