/** One step of the schema: `sql` lifts a file from `version - 1` to `version`. */
export interface Migration {
  version: number;
  sql: string;
}

/** 'FTUN' in the SQLite header: how `file` and we tell a project from any other database. */
export const applicationId = 0x4654554e;

/**
 * The schema, as the ordered list of the steps that made it. A step is never edited once released.
 * Plain tables and types only (no STRICT, no generated columns), so that any SQLite of the last decade reads them.
 * docs/project-file.md describes every column; a test holds the two together.
 */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    sql: `
      CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
      );
      CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        family TEXT NOT NULL,
        layers INTEGER NOT NULL,
        width INTEGER NOT NULL,
        parameters INTEGER NOT NULL,
        dtype TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        card TEXT NOT NULL,
        UNIQUE (name, fingerprint)
      );
      CREATE TABLE datasets (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        audio_column TEXT,
        fingerprint TEXT NOT NULL,
        utterances INTEGER NOT NULL,
        hours REAL,
        problems TEXT NOT NULL,
        UNIQUE (name, fingerprint)
      );
      CREATE TABLE dataset_audio (
        dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        PRIMARY KEY (dataset_id, path)
      );
      CREATE TABLE experiments (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        created TEXT NOT NULL,
        spec TEXT NOT NULL,
        spec_hash TEXT NOT NULL UNIQUE,
        notes TEXT NOT NULL DEFAULT ''
      );
      CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        experiment_id INTEGER REFERENCES experiments (id) ON DELETE CASCADE,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        spec TEXT NOT NULL,
        progress TEXT,
        error TEXT,
        created TEXT NOT NULL,
        started TEXT,
        finished TEXT,
        heartbeat TEXT
      );
      CREATE TABLE job_units (
        job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        unit TEXT NOT NULL,
        committed TEXT NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (job_id, unit)
      );
      CREATE TABLE recipes (
        id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        json TEXT NOT NULL
      );
      CREATE TABLE scores (
        experiment_id INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
        model_id INTEGER NOT NULL REFERENCES models (id),
        recipe_id INTEGER NOT NULL REFERENCES recipes (id),
        model TEXT NOT NULL,
        layer INTEGER NOT NULL CHECK (layer >= 0),
        label TEXT NOT NULL,
        unit TEXT NOT NULL CHECK (unit IN ('frame', 'utterance')),
        metric TEXT NOT NULL,
        value REAL NOT NULL,
        ci_low REAL,
        ci_high REAL,
        n INTEGER NOT NULL,
        d INTEGER NOT NULL,
        classes INTEGER NOT NULL,
        control TEXT NOT NULL DEFAULT '',
        replicates TEXT,
        PRIMARY KEY (experiment_id, model_id, label, unit, metric, control, layer)
      );
      CREATE TABLE truth (
        source TEXT NOT NULL,
        model TEXT NOT NULL,
        layer INTEGER,
        label TEXT NOT NULL,
        measure TEXT NOT NULL,
        value REAL NOT NULL,
        higher_is_better INTEGER NOT NULL CHECK (higher_is_better IN (0, 1))
      );
      CREATE UNIQUE INDEX truth_key ON truth (source, model, ifnull(layer, -1), label, measure);
      CREATE TABLE view_state (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
      );
    `,
  },
  {
    version: 2,
    sql: `
      ALTER TABLE datasets ADD COLUMN audio_root TEXT;
      ALTER TABLE scores ADD COLUMN resampling TEXT NOT NULL DEFAULT 'jackknife' CHECK (resampling IN ('jackknife', 'bootstrap'));
      ALTER TABLE scores ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
      CREATE TABLE layer_sums (
        experiment_id INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
        model_id INTEGER NOT NULL REFERENCES models (id),
        recipe_id INTEGER NOT NULL REFERENCES recipes (id),
        model TEXT NOT NULL,
        label TEXT NOT NULL,
        unit TEXT NOT NULL CHECK (unit IN ('frame', 'utterance')),
        metric TEXT NOT NULL,
        value REAL NOT NULL,
        ci_low REAL,
        ci_high REAL,
        n INTEGER NOT NULL,
        d INTEGER NOT NULL,
        classes INTEGER NOT NULL,
        control TEXT NOT NULL DEFAULT '',
        layers TEXT NOT NULL,
        weights TEXT NOT NULL,
        replicates TEXT,
        notes TEXT NOT NULL,
        PRIMARY KEY (experiment_id, model_id, label, unit, metric, control)
      );
      CREATE TABLE speed_runs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        created TEXT NOT NULL,
        model_id INTEGER NOT NULL REFERENCES models (id),
        model TEXT NOT NULL,
        data TEXT NOT NULL,
        spec TEXT NOT NULL,
        spec_hash TEXT NOT NULL UNIQUE
      );
      CREATE TABLE speed_utterances (
        run_id INTEGER NOT NULL REFERENCES speed_runs (id) ON DELETE CASCADE,
        utterance INTEGER NOT NULL CHECK (utterance >= 0),
        name TEXT NOT NULL,
        seconds REAL,
        reference TEXT NOT NULL,
        PRIMARY KEY (run_id, utterance)
      );
      CREATE TABLE speed_records (
        run_id INTEGER NOT NULL REFERENCES speed_runs (id) ON DELETE CASCADE,
        track TEXT NOT NULL,
        utterance INTEGER NOT NULL CHECK (utterance >= 0),
        record TEXT NOT NULL,
        PRIMARY KEY (run_id, track, utterance)
      );
      CREATE TABLE speed_heads (
        run_id INTEGER NOT NULL REFERENCES speed_runs (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        shape TEXT NOT NULL,
        "values" BLOB NOT NULL,
        PRIMARY KEY (run_id, name)
      );
      CREATE TABLE speed_points (
        run_id INTEGER NOT NULL REFERENCES speed_runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        point TEXT NOT NULL,
        recipe_id INTEGER NOT NULL REFERENCES recipes (id),
        strategy TEXT NOT NULL,
        setting TEXT NOT NULL,
        decoding TEXT NOT NULL CHECK (decoding IN ('greedy', 'beam')),
        wer REAL NOT NULL,
        cer REAL NOT NULL,
        macs REAL NOT NULL,
        seconds REAL,
        rtf REAL,
        mean_exit_layer REAL NOT NULL,
        memory REAL NOT NULL,
        details TEXT NOT NULL,
        PRIMARY KEY (run_id, point)
      );
    `,
  },
];
