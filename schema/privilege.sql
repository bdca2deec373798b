-- Last part: whatever the parts before it created is nobody's but the owner's.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA flagsmith FROM PUBLIC;
