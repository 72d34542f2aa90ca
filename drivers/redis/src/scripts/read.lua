-- KEYS: value.
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local entry = entry_of(KEYS[1], value, clock())
if not entry then return foreign(KEYS[1]) end
return entry
