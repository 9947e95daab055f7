// A state machine with a thousand states in one switch: LLVM nests a block for every arm.
#include <stdio.h>

static unsigned acc;

__attribute__((noinline)) static void act(unsigned state) { acc = acc * 31 + state; }

#define ARM(n)                                                                                                         \
    case n:                                                                                                            \
        if (c % 7 == n % 7)                                                                                            \
            act(n);                                                                                                    \
        else                                                                                                           \
            acc ^= n * 2654435761u;                                                                                    \
        return 1000 + (c * (n % 19 + 2) + n * 7) % 1000;
#define TEN(n) ARM(n##0) ARM(n##1) ARM(n##2) ARM(n##3) ARM(n##4) ARM(n##5) ARM(n##6) ARM(n##7) ARM(n##8) ARM(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)

__attribute__((noinline)) static unsigned step(unsigned state, unsigned c) {
    switch (state) {
        HUNDRED(10) HUNDRED(11) HUNDRED(12) HUNDRED(13) HUNDRED(14)
        HUNDRED(15) HUNDRED(16) HUNDRED(17) HUNDRED(18) HUNDRED(19)
    default:
        return 1000;
    }
}

int main(void) {
    unsigned state = 1000;
    for (int c; (c = getchar()) != EOF;) state = step(state, (unsigned)c);
    return printf("%u %u\n", state, acc) < 0;
}
