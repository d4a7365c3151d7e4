/*
 * Tells the page which browser a worker believes to be in. Responsible for nothing else.
 */
postMessage(navigator.userAgent);
