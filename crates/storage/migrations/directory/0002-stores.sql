-- Which host has which store of mail: one row a store, however many mailboxes it holds. `epoch` only grows; it stands in the
-- fence of the store's folder as well. `incarnation` is the process that has the store open, empty: none. `folder` is
-- where the owner finds the files, empty: in its own folder. `successor` gets the store once its owner has let go of it,
-- empty: nobody.
CREATE TABLE stores (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    folder TEXT NOT NULL,
    successor TEXT NOT NULL,
    successor_folder TEXT NOT NULL
);
