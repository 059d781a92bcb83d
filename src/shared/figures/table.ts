export interface TableColumn {
  name: string;
  align: 'left' | 'right';
}

export interface TableCell {
  text: string;
  /** The best and the second-best value of a column, where the column is one to compare. */
  mark?: 'best' | 'second';
}

/** A table: what it shows, not how it is drawn. */
export interface TableFigure {
  title: string;
  columns: readonly TableColumn[];
  rows: readonly (readonly TableCell[])[];
  /** Remarks below the table. */
  notes: readonly string[];
}
