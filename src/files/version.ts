/* The package's version, for the files that it writes. A test holds it equal to package.json's. */
export const VERSION = '0.1.0'
