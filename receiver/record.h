/*-------------------------------------------------------------------------
 *
 * record.h
 *		One delivery as it lies in the spool.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_RECORD_H
#define RECEIVER_RECORD_H

#include "request.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RECORD_MAGIC "FWR2"
#define RECORD_HEADER_SIZE 40
#define RECORD_TAG_SIZE 8

typedef struct Record
{
	Delivery	delivery;
	char	   *parts;			/* webhook, signature and body, each with NUL */
	off_t		offset;
	off_t		end;
	bool		has_tag;
	unsigned char tag[RECORD_TAG_SIZE];
} Record;

typedef enum ReadResult
{
	RECORD_READ, RECORD_END, RECORD_TORN, RECORD_DAMAGED, RECORD_FAILED
} ReadResult;

extern void record_init(const unsigned char *tag);
extern size_t record_size(const Delivery *delivery);
extern bool record_write(int fd, const Delivery *delivery);
extern bool record_bytes(int fd, void *dst, size_t len, off_t offset);
extern ReadResult record_read(int fd, off_t offset, off_t size, Record *record);
extern ReadResult record_find(int fd, off_t offset, off_t size, unsigned char *tag,
							  Record *record, ReadResult *at_offset);

#endif							/* RECEIVER_RECORD_H */
