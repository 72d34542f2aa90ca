-- KEYS: value. ARGV: bytes, retention or nothing, seen, key, limit, channels of the key and of all.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local last = value.r or 0
if last > tonumber(ARGV[3]) then return {0, last} end
local revision = above(now, last)
write(KEYS[1], now, revision, nil, ARGV[1], tonumber(ARGV[2]))
local told, bytes = told_value(revision, nil, ARGV[1], tonumber(ARGV[5]))
tell(ARGV[6], told, '', bytes)
tell_all(ARGV[7], revision, ARGV[4])
return {1, revision}
