/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs and results as the JSON that tools give, after the schemas of catalogue.json, and as texts for people. Pure. */
#ifndef VMAFX_PROGRAMS_MCP_DOCUMENT_H
#define VMAFX_PROGRAMS_MCP_DOCUMENT_H

#include "programs/mcp/backend.h"
#include "programs/mcp/catalogue.h"

const char *state_name(Vmafx__V1__JobState state);
/** JOB_STATE_UNSPECIFIED for what is none. */
Vmafx__V1__JobState state_parse(const char *name);
const char *failure_name(Vmafx__V1__FailureClass failure);

/** $defs/job; NULL without memory. */
json_t *job_document(const Catalogue *catalogue, const JobView *job);
/** A sentence; fresh memory. */
char *job_text(const Catalogue *catalogue, const JobView *job);

/** $defs/measurement, of a job that may have a result (NULL: none). */
json_t *measurement_document(const Catalogue *catalogue, const JobView *job, const Vmafx__V1__Result *result);
char *measurement_text(const Catalogue *catalogue, const JobView *job, const Vmafx__V1__Result *result);

/** Bits per second of an input over its whole length; 0: not known. */
int64_t input_bit_rate(const Vmafx__V1__InputFacts *input);

/** A number that JSON can have: those that are none become null. */
json_t *number_or_null(double value);
/** Sets a member unless the text is NULL or empty. */
void set_text(json_t *object, const char *key, const char *text);
#endif
