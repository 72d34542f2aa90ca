-- KEYS: value, lock. ARGV: token, bytes, retention or nothing, key, limit, channels of the key, of the
-- lock and of all.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local lock = lock_of(KEYS[2])
if not lock then return foreign(KEYS[2]) end

if value.p and digits(value.p) == ARGV[1] then return {1, value.q} end
if not lock.e or digits(lock.t) ~= ARGV[1] then return {0, 0} end

local no = mute(ARGV[6], ARGV[7], ARGV[8])
if no then return no end
-- Not the token: what was put since may have been evicted, and its revision with it.
local revision = above(now, value.r, lock.t)
write(KEYS[1], now, revision, lock.t, ARGV[2], tonumber(ARGV[3]))
free(KEYS[2])
local told, bytes = told_value(revision, lock.t, ARGV[2], tonumber(ARGV[5]))
tell_both(ARGV[6], ARGV[7], told, bytes, told_free(lock.t))
tell_all(ARGV[8], revision, ARGV[4])
return {1, revision}
