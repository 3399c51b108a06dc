/* A shared library that needs a function which is nowhere. */
int nowhere_to_be_found(void);
int answer(void) { return nowhere_to_be_found(); }
