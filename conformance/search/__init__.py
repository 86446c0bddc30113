"""Search: inputs drawn by regime and judged like cases, laws that need no reference, and the findings written down."""
