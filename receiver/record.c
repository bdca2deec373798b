/*-------------------------------------------------------------------------
 *
 * record.c
 *		One delivery as it lies in the spool:
 *
 *		4	magic, "FWR1"
 *		4	CRC-32C of all that follows
 *		8	received_at, microseconds since 2000-01-01 00:00 UTC
 *		4	length of the webhook's name
 *		4	length of the signature, 0xFFFFFFFF: none
 *		4	length of the body
 *			the three, one behind the other
 *
 * All numbers are in network byte order.
 *
 *-------------------------------------------------------------------------
 */
#include "receiver.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_SIGNATURE UINT32_MAX
#define PART_LIMIT (1024 * 1024 * 1024)

static uint32_t crc_table[256];

void
record_init(void)
{
	for (uint32_t i = 0; i < 256; i++)
	{
		uint32_t	c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c & 1) ? (c >> 1) ^ 0x82f63b78 : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t
crc_add(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len-- > 0)
		crc = (crc >> 8) ^ crc_table[(crc ^ *p++) & 0xff];
	return crc;
}

size_t
record_size(const Delivery *delivery)
{
	return RECORD_HEADER_SIZE + strlen(delivery->webhook) + delivery->body_len +
		(delivery->signature ? strlen(delivery->signature) : 0);
}

static void
put32(unsigned char *dst, uint32_t value)
{
	value = htobe32(value);
	memcpy(dst, &value, 4);
}

static uint32_t
get32(const unsigned char *src)
{
	uint32_t	value;

	memcpy(&value, src, 4);
	return be32toh(value);
}

/* Append one record; false when not all of it was taken. */
bool
record_write(int fd, const Delivery *delivery)
{
	unsigned char header[RECORD_HEADER_SIZE];
	size_t		name_len = strlen(delivery->webhook);
	size_t		signature_len = delivery->signature ? strlen(delivery->signature) : 0;
	uint64_t	received_at = htobe64((uint64_t) delivery->received_at);
	struct iovec iov[4];
	size_t		left = record_size(delivery);
	uint32_t	crc;
	int			part = 0;

	memcpy(header, RECORD_MAGIC, 4);
	memcpy(header + 8, &received_at, 8);
	put32(header + 16, (uint32_t) name_len);
	put32(header + 20, delivery->signature ? (uint32_t) signature_len : NO_SIGNATURE);
	put32(header + 24, (uint32_t) delivery->body_len);
	crc = crc_add(UINT32_MAX, header + 8, RECORD_HEADER_SIZE - 8);
	crc = crc_add(crc, delivery->webhook, name_len);
	crc = crc_add(crc, delivery->signature, signature_len);
	crc = crc_add(crc, delivery->body, delivery->body_len);
	put32(header + 4, ~crc);

	iov[0] = (struct iovec) {header, RECORD_HEADER_SIZE};
	iov[1] = (struct iovec) {(void *) delivery->webhook, name_len};
	iov[2] = (struct iovec) {(void *) delivery->signature, signature_len};
	iov[3] = (struct iovec) {(void *) delivery->body, delivery->body_len};

	while (left > 0)
	{
		ssize_t		n = writev(fd, iov + part, 4 - part);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		left -= (size_t) n;
		while (part < 4 && (size_t) n >= iov[part].iov_len)
			n -= (ssize_t) iov[part++].iov_len;
		if (part < 4)
		{
			iov[part].iov_base = (char *) iov[part].iov_base + n;
			iov[part].iov_len -= (size_t) n;
		}
	}
	return true;
}

/* Exactly these bytes of a file; errno is 0 where it ends before. */
bool
record_bytes(int fd, void *dst, size_t len, off_t offset)
{
	size_t		done = 0;

	while (done < len)
	{
		ssize_t		n = pread(fd, (char *) dst + done, len - done,
							  offset + (off_t) done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
		{
			errno = 0;
			return false;
		}
		done += (size_t) n;
	}
	return true;
}

/*
 * Read the record at the offset.  On RECORD_READ the caller frees
 * record->parts.
 */
ReadResult
record_read(int fd, off_t offset, off_t size, Record *record)
{
	unsigned char header[RECORD_HEADER_SIZE];
	size_t		name_len,
				signature_len,
				body_len,
				total;
	bool		has_signature;
	uint64_t	received_at;
	uint32_t	crc;
	char	   *parts;

	memset(record, 0, sizeof(*record));
	record->offset = offset;
	if (offset >= size)
		return RECORD_END;
	if (size - offset < RECORD_HEADER_SIZE)
		return RECORD_TORN;
	if (!record_bytes(fd, header, RECORD_HEADER_SIZE, offset))
		return errno ? RECORD_FAILED : RECORD_TORN;

	name_len = get32(header + 16);
	has_signature = get32(header + 20) != NO_SIGNATURE;
	signature_len = has_signature ? get32(header + 20) : 0;
	body_len = get32(header + 24);
	total = name_len + signature_len + body_len;
	if (memcmp(header, RECORD_MAGIC, 4) != 0 || name_len == 0 || name_len > PART_LIMIT ||
		signature_len > PART_LIMIT || body_len > PART_LIMIT)
		return RECORD_DAMAGED;
	if (total > (uint64_t) (size - offset - RECORD_HEADER_SIZE))
		return RECORD_TORN;

	parts = malloc(total + 3);
	if (parts == NULL)
		return RECORD_FAILED;
	if (!record_bytes(fd, parts, total, offset + RECORD_HEADER_SIZE))
	{
		free(parts);
		return errno ? RECORD_FAILED : RECORD_TORN;
	}
	crc = crc_add(UINT32_MAX, header + 8, RECORD_HEADER_SIZE - 8);
	crc = crc_add(crc, parts, total);
	if (~crc != get32(header + 4))
	{
		free(parts);
		return offset + RECORD_HEADER_SIZE + (off_t) total == size ?
			RECORD_TORN : RECORD_DAMAGED;
	}

	/* Make room for a NUL behind each part, the last one first. */
	memmove(parts + name_len + signature_len + 2, parts + name_len + signature_len,
			body_len);
	parts[name_len + signature_len + 2 + body_len] = '\0';
	memmove(parts + name_len + 1, parts + name_len, signature_len);
	parts[name_len + 1 + signature_len] = '\0';
	parts[name_len] = '\0';

	memcpy(&received_at, header + 8, 8);
	record->parts = parts;
	record->delivery.webhook = parts;
	record->delivery.signature = has_signature ? parts + name_len + 1 : NULL;
	record->delivery.body = parts + name_len + signature_len + 2;
	record->delivery.body_len = body_len;
	record->delivery.received_at = (int64_t) be64toh(received_at);
	record->end = offset + RECORD_HEADER_SIZE + (off_t) total;
	return RECORD_READ;
}
