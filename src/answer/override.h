/*-------------------------------------------------------------------------
 *
 * src/answer/override.h
 *	  Which of several overrides a user was given: interface of override.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_OVERRIDE_H
#define FSW_OVERRIDE_H

#include "src/read/read.h"

extern const FswPeriod *fsw_choose_override(const FswHistory *history, const FswAsked *asked,
											int64 at, const FswPeriod *otherwise,
											FswConfidence *lowest);
extern bool fsw_is_younger(const FswShownScope *a, const FswShownScope *b);

#endif							/* FSW_OVERRIDE_H */
