// Ten thousand statements in one function, as generators of code write them.
#include <stdio.h>

static volatile unsigned t[64];

#define LINE(n) t[n % 64] += t[(n * 7u + 3) % 64] * (n * 2654435761u) + n;
#define TEN(n) LINE(n##0) LINE(n##1) LINE(n##2) LINE(n##3) LINE(n##4) LINE(n##5) LINE(n##6) LINE(n##7) LINE(n##8) LINE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
#define THOUSAND(n)                                                                                                    \
    HUNDRED(n##0) HUNDRED(n##1) HUNDRED(n##2) HUNDRED(n##3) HUNDRED(n##4)                                              \
    HUNDRED(n##5) HUNDRED(n##6) HUNDRED(n##7) HUNDRED(n##8) HUNDRED(n##9)

static void all(void) {
    THOUSAND(10) THOUSAND(11) THOUSAND(12) THOUSAND(13) THOUSAND(14)
    THOUSAND(15) THOUSAND(16) THOUSAND(17) THOUSAND(18) THOUSAND(19)
}

int main(void) {
    unsigned sum = 0, count = 0;
    for (int c; (c = getchar()) != EOF; count++) t[count % 64] += (unsigned)c;
    all();
    for (int i = 0; i < 64; i++) sum ^= t[i];
    return printf("%u %u\n", count, sum) < 0;
}
