// Sums of floats with the errors of their additions.

// Add `part` to sum.x, and the error of the addition to sum.y.
void add(float2* sum, float part) {
    const float total = sum->x + part, of_part = total - sum->x;
    sum->y += (sum->x - (total - of_part)) + (part - of_part);
    sum->x = total;
}
