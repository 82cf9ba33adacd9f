//! The whole program from outside: exit code, standard output and standard error of its commands.

mod archives;
mod collect_hints;
mod collecting;
mod config_check;
mod daily;
mod dataset_stats;
mod doctor;
mod dvc;
mod eight_bits;
mod explaining;
mod help;
mod importing;
mod init;
mod killing;
mod labelling;
mod lineage;
mod models;
mod natureddit;
mod out_files;
mod properties;
mod running;
mod the_loop;
mod tracking;
mod traps;
mod truth;
mod validation;
