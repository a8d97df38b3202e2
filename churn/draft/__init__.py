"""Drafts a params file from data: looks, guesses what it can, and says what it guessed.

Its modules, in the order of the work:

    named_inputs     what the command line names: files, folders, addresses, databases
    file_dialect     how each file has to be read: encoding, delimiter, header, sheets
    table_reading    tables of texts; files that are parts of one table
    column_types     what each column holds: type, missing values, spellings, dates
    keys_and_joins   which column names the customer, and how the tables join
    label_guess      which column is the answer
    horizon_guess    else which end date and horizon is
    suspect_columns  what must not become a feature, for it tells the answer
    params_writing   the settings that the data needs, and the params file as text
    drafting         all of these in turn: from what was named to a draft

`python -m churn.draft`, which `churn init` runs, writes the draft and tells what was found.
"""
