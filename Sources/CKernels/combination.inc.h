// Σₖ diag(dₖ) Wₖ, compiled once per instruction set: included by instruction_set.inc.h.

// Computes rows row …< row + rows of M, a strip of a row at a time.
static void combine_rows(const struct ck_combination *p, int64_t row, int64_t rows) {
  float buffer[STRIP];
  for (const int64_t end = row + rows; row < end; row++) {
    float *restrict out = p->out + row * p->columns;
    for (int64_t column = 0; column < p->columns; column += STRIP) {
      const int64_t count = ck_min(STRIP, p->columns - column);
      for (int64_t k = 0; k < p->terms; k++) {
        const float factor = p->factors[k][row];
        widen(p->matrices[k], row, 1, column, count, buffer);
        if (k == 0)
          for (int64_t c = 0; c < count; c++) out[column + c] = factor * buffer[c];
        else
          for (int64_t c = 0; c < count; c++) out[column + c] += factor * buffer[c];
      }
    }
  }
}
