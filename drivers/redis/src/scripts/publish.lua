-- KEYS: value, lock. ARGV: token, bytes, retention or nothing, key, limit, channels of the key, of the
-- lock and of all.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local lock = lock_of(KEYS[2])
if not lock then return foreign(KEYS[2]) end

if value.p and digits(value.p) == ARGV[1] then return {1, value.q} end
if not lock.e or digits(lock.t) ~= ARGV[1] then return {0, 0} end

local revision = lock.t
if value.r and value.r >= revision then revision = above(now, value.r) end
write(KEYS[1], now, revision, lock.t, ARGV[2], tonumber(ARGV[3]))
free(KEYS[2])
tell_both(ARGV[6], ARGV[7], told_value(revision, lock.t, ARGV[2], tonumber(ARGV[5])))
tell_all(ARGV[8], revision, ARGV[4])
return {1, revision}
