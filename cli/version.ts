/** The version of the program: part of what a result depends on. */
export const VERSION = "0.1.0";
