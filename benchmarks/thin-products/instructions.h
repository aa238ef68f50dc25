// Prints the products of numbers per second of one core, by instruction.
void print_instructions(void);
