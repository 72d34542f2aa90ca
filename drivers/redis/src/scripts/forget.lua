-- KEYS: value, lock. ARGV: key, channels of the key, of the lock and of all.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local lock = lock_of(KEYS[2])
if not lock then return foreign(KEYS[2]) end
local no = mute(ARGV[2], ARGV[3], ARGV[4])
if no then return no end
local revision = above(now, value.r, lock.t)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'r', digits(revision))
redis.call('PEXPIRE', KEYS[1], MEMORY)
if lock.t then free(KEYS[2]) end
tell_both(ARGV[2], ARGV[3], 'n,' .. digits(revision), '', told_free(lock.t or now))
tell_all(ARGV[4], revision, ARGV[1])
return revision
